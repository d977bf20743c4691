package klaviyo

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"kvit/destination"
)

// DefaultRevision is the version of the API that this package was written for. Klaviyo keeps each for
// two years (https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy).
const DefaultRevision = "2026-07-15"

// Options are the settings of a Klaviyo. What is empty takes the default, where one is named.
type Options struct {
	APIKey   string            // a private key
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

// metrics are the default names.
var metrics = destination.Mapping{
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

var (
	revisionForm = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[a-z0-9-]+)?$`)
	headerForm   = regexp.MustCompile(`^[\x21-\x7e]+$`)
	listForm     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

func newSettings(options Options) (settings, error) {
	s := settings{Options: options, mapping: metrics.With(options.Events)}
	s.Revision = cmp.Or(s.Revision, DefaultRevision)
	s.BaseURL = strings.TrimSuffix(cmp.Or(s.BaseURL, "https://a.klaviyo.com"), "/")
	switch {
	case s.APIKey == "":
		return settings{}, errors.New("api_key: is required")
	case !headerForm.MatchString(s.APIKey):
		return settings{}, errors.New("api_key: must be visible ASCII without blanks")
	case !revisionForm.MatchString(s.Revision):
		return settings{}, errors.New("revision: must be a date written YYYY-MM-DD")
	case s.ListID != "" && !listForm.MatchString(s.ListID):
		return settings{}, errors.New("list_id: is not the id of a list")
	}
	if err := checkEvents(options.Events); err != nil {
		return settings{}, err
	}
	local, err := destination.CheckAddress(s.BaseURL)
	if err != nil {
		return settings{}, fmt.Errorf("base_url: %w", err)
	}
	s.HTTP.AllowPrivate = s.HTTP.AllowPrivate || local
	return s, nil
}

func checkEvents(changes map[string]string) error {
	for event, metric := range changes {
		isCustom := strings.HasPrefix(event, destination.CustomPrefix)
		switch {
		case !destination.IsName(event):
			return fmt.Errorf("events.%s: is not the name of an event", event)
		case metric == destination.OwnName && !isCustom:
			return fmt.Errorf("events.%s: %s is for custom events only", event, destination.OwnName)
		case metric == subscribe || metric == unsubscribe:
			return fmt.Errorf("events.%s: leave it out instead, or give it the name of a metric", event)
		case !isMetric(metric) && metric != "":
			return fmt.Errorf("events.%s: must be shorter than 128 characters", event)
		}
	}
	return nil
}

// isMetric tells whether Klaviyo takes the name: it must be less than 128 characters.
func isMetric(name string) bool {
	return strings.TrimSpace(name) != "" && utf8.RuneCountInString(name) < 128
}
