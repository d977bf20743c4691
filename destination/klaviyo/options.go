package klaviyo

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"kvit/config"
	"kvit/destination"
)

// DefaultRevision is the version of the API that this package was written for. Klaviyo keeps each for
// two years (https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy).
const DefaultRevision = "2026-07-15"

const defaultBaseURL = "https://a.klaviyo.com"

// Options are the settings of a Klaviyo. What is empty takes the default, where one is named.
type Options struct {
	APIKey   config.Secret     // a private key
	Revision string            // the revision header; default DefaultRevision
	ListID   string            // the list that opt-ins join; empty: none, and the account's own setting decides on double opt-in
	Events   map[string]string // changes to the default metrics
	BaseURL  string            // default https://a.klaviyo.com
	HTTP     destination.ClientOptions
}

// What stands in the mapping for the two jobs that change a consent, where metrics stand for others.
const (
	subscribe   = "(subscribe)"
	unsubscribe = "(unsubscribe)"
)

// defaults are the metrics of the shop's events.
var defaults = destination.Mapping{
	"order_placed": "Placed Order", "order_paid": "Paid Order", "order_shipped": "Fulfilled Order",
	"order_cancelled": "Cancelled Order", "order_refunded": "Refunded Order",
	"account_created": "Created Account", "account_updated": "Updated Account",
	"newsletter_optin": subscribe, "newsletter_optout": unsubscribe, "sms_optin": subscribe, "sms_optout": unsubscribe,
	"cart_updated": "Added to Cart", "checkout_started": "Started Checkout",
	"product_viewed": "Viewed Product", "search": "Searched Site", "page_viewed": "Viewed Page",
	destination.AnyCustom: destination.OwnName,
}

// settings are Options that were checked and filled in.
type settings struct {
	Options
	mapping destination.Mapping
}

func newSettings(options Options) (settings, error) {
	s := settings{Options: options}
	s.Revision = cmp.Or(s.Revision, DefaultRevision)
	s.BaseURL = strings.TrimSuffix(cmp.Or(s.BaseURL, defaultBaseURL), "/")
	switch {
	case !s.APIKey.IsSet():
		return settings{}, errors.New("api_key: is required")
	case !destination.IsVisibleASCII(s.APIKey.Reveal()):
		return settings{}, errors.New("api_key: must be visible ASCII characters")
	case apiRevision(s.Revision) != "":
		return settings{}, errors.New("revision: must be a date written YYYY-MM-DD")
	case s.ListID != "" && listID(s.ListID) != "":
		return settings{}, errors.New("list_id: is not the id of a list")
	}
	var err error
	if s.mapping, err = defaults.Changed(s.Events, nameProblem); err != nil {
		return settings{}, err
	}
	if err := s.mapping.OneSale(); err != nil {
		return settings{}, err
	}
	local, err := destination.CheckAddress(s.BaseURL)
	if err != nil {
		return settings{}, fmt.Errorf("base_url: %w", err)
	}
	s.HTTP.AllowPrivate = s.HTTP.AllowPrivate || local
	return s, nil
}

func nameProblem(_, metric string) string {
	switch {
	case metric == subscribe || metric == unsubscribe:
		return "leave it out instead, or give it the name of a metric"
	case !isMetric(metric):
		return "must be shorter than 128 characters"
	}
	return ""
}

// isMetric tells whether Klaviyo takes the name: it must be less than 128 characters.
func isMetric(name string) bool {
	return strings.TrimSpace(name) != "" && utf8.RuneCountInString(name) < 128
}
