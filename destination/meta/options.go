package meta

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"kvit/config"
	"kvit/destination"
)

// The values of Options.TokenIn.
const (
	InBody  = "body"
	InQuery = "query"
)

// ActionSources are the values of Options.ActionSource (…/conversions-api/parameters/server-event).
var ActionSources = []string{
	"website", "app", "email", "phone_call", "chat", "physical_store", "system_generated", "business_messaging", "other",
}

// Options are the settings of a Meta. What is empty takes the default, where one is named.
type Options struct {
	DatasetID      string // the dataset, formerly pixel
	AccessToken    config.Secret
	TokenIn        string            // InBody (default), or InQuery as Meta's page shows it
	APIVersion     string            // default v25.0
	ActionSource   string            // one of ActionSources; default website
	TestEventCode  string            // for SendTest only
	LimitedDataUse bool              // ask for it with every event; Meta finds out where the person is
	Events         map[string]string // changes to the default mapping; empty: not sent
	BaseURL        string            // default https://graph.facebook.com
	HTTP           destination.ClientOptions
}

// defaults is what Meta calls the shop's events. An order counts once, when it is paid.
var defaults = destination.Mapping{
	"order_paid":          purchase,
	"account_created":     "CompleteRegistration",
	"newsletter_optin":    "Subscribe",
	"sms_optin":           "SmsOptin",
	"cart_updated":        addToCart,
	"checkout_started":    "InitiateCheckout",
	"product_viewed":      "ViewContent",
	"search":              "Search",
	"wishlist_item_added": "AddToWishlist",
	"payment_info_given":  "AddPaymentInfo",
	"page_viewed":         "PageView",
	destination.AnyCustom: destination.OwnName,
}

const (
	purchase  = "Purchase"
	addToCart = "AddToCart"
)

// What Options that are left empty become.
const (
	defaultAPIVersion = "v25.0"
	defaultBaseURL    = "https://graph.facebook.com"
)

// settings are Options that were checked and filled in.
type settings struct {
	Options
	mapping destination.Mapping
	address string // with the token if it belongs there: never to be shown
}

func newSettings(options Options) (settings, error) {
	s := settings{Options: options}
	s.TokenIn = cmp.Or(s.TokenIn, InBody)
	s.APIVersion = cmp.Or(s.APIVersion, defaultAPIVersion)
	s.ActionSource = cmp.Or(s.ActionSource, "website")
	s.BaseURL = strings.TrimSuffix(cmp.Or(s.BaseURL, defaultBaseURL), "/")
	if err := s.check(); err != nil {
		return settings{}, err
	}
	if err := s.name(); err != nil {
		return settings{}, err
	}
	local, err := destination.CheckAddress(s.BaseURL)
	if err != nil {
		return settings{}, fmt.Errorf("base_url: %w", err)
	}
	s.HTTP.AllowPrivate = s.HTTP.AllowPrivate || local
	s.address = s.BaseURL + "/" + s.APIVersion + "/" + s.DatasetID + "/events"
	if s.TokenIn == InQuery {
		s.address += "?access_token=" + url.QueryEscape(s.AccessToken.Reveal())
	}
	return s, nil
}

func (s *settings) check() error {
	switch {
	case datasetID(s.DatasetID) != "":
		return errors.New("dataset_id: must be the number of a dataset")
	case !s.AccessToken.IsSet():
		return errors.New("access_token: is required")
	case s.TokenIn != InBody && s.TokenIn != InQuery:
		return fmt.Errorf("token_in: must be %s or %s", InBody, InQuery)
	case graphVersion(s.APIVersion) != "":
		return errors.New("api_version: must be a version such as v25.0")
	case !slices.Contains(ActionSources, s.ActionSource):
		return errors.New("action_source: must be one of " + strings.Join(ActionSources, ", "))
	}
	return nil
}

func (s *settings) name() (err error) {
	s.mapping, err = defaults.Changed(s.Events, func(_, called string) string {
		if destination.IsPlainName(called) {
			return ""
		}
		return "must be up to 50 letters, digits and _"
	})
	if err != nil {
		return err
	}
	return s.mapping.OneSale(purchase)
}
