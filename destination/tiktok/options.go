package tiktok

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kvit/config"
	"kvit/destination"
)

// EventSources are the values of Options.EventSource.
var EventSources = []string{"web", "app", "offline", "crm"}

// Options are the settings of a TikTok. What is empty takes the default, where one is named.
type Options struct {
	AccessToken    config.Secret
	EventSource    string            // one of EventSources; default web
	EventSourceID  string            // for web the code of the pixel
	APIVersion     string            // default v1.3
	TestEventCode  string            // for SendTest only
	LimitedDataUse bool              // ask for it with every event
	Events         map[string]string // changes to the default mapping; empty: not sent
	BaseURL        string            // default https://business-api.tiktok.com
	HTTP           destination.ClientOptions
}

// defaults is what TikTok calls the shop's events. A sale counts once, when it is paid: PlaceAnOrder is
// another event.
var defaults = destination.Mapping{
	"order_placed":        "PlaceAnOrder",
	"order_paid":          "Purchase",
	"account_created":     "CompleteRegistration",
	"newsletter_optin":    "Subscribe",
	"sms_optin":           "SmsOptin",
	"cart_updated":        addToCart,
	"checkout_started":    "InitiateCheckout",
	"product_viewed":      "ViewContent",
	"search":              "Search",
	"wishlist_item_added": "AddToWishlist",
	"payment_info_given":  "AddPaymentInfo",
	"page_viewed":         "Pageview",
	destination.AnyCustom: destination.OwnName,
}

const addToCart = "AddToCart"

// purchases are the names by which TikTok has called a sale, until 2024 and since.
var purchases = []string{"CompletePayment", "Purchase"}

// What Options that are left empty become.
const (
	defaultAPIVersion = "v1.3"
	defaultBaseURL    = "https://business-api.tiktok.com"
)

// settings are Options that were checked and filled in.
type settings struct {
	Options
	mapping destination.Mapping
	address string
}

func newSettings(options Options) (settings, error) {
	s := settings{Options: options}
	s.EventSource = cmp.Or(s.EventSource, "web")
	s.APIVersion = cmp.Or(s.APIVersion, defaultAPIVersion)
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
	s.address = s.BaseURL + "/open_api/" + s.APIVersion + "/event/track/"
	return s, nil
}

func (s *settings) check() error {
	switch {
	case !s.AccessToken.IsSet():
		return errors.New("access_token: is required")
	case !destination.IsVisibleASCII(s.AccessToken.Reveal()):
		return errors.New("access_token: must be visible ASCII characters")
	case !slices.Contains(EventSources, s.EventSource):
		return errors.New("event_source: must be one of " + strings.Join(EventSources, ", "))
	case s.EventSourceID == "":
		return errors.New("event_source_id: is required")
	case apiVersion(s.APIVersion) != "":
		return errors.New("api_version: must be a version such as v1.3")
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
	return s.mapping.OneSale(purchases...)
}

func isPurchase(called string) bool { return slices.Contains(purchases, called) }
