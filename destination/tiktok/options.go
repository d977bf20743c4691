package tiktok

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"kvit/destination"
)

// EventSources are the values of Options.EventSource.
var EventSources = []string{"web", "app", "offline", "crm"}

// Options are the settings of a TikTok. What is empty takes the default, where one is named.
type Options struct {
	AccessToken    string
	EventSource    string            // one of EventSources; default web
	EventSourceID  string            // for web the code of the pixel
	APIVersion     string            // default v1.3
	TestEventCode  string            // for SendTest only
	LimitedDataUse bool              // ask for it with every event
	Events         map[string]string // changes to the default mapping; empty: not sent
	BaseURL        string            // default https://business-api.tiktok.com
	HTTP           destination.ClientOptions
}

// defaults is what TikTok calls the shop's events. An order counts once, when it is paid.
var defaults = destination.Mapping{
	"order_paid":          "Purchase",
	"account_created":     "CompleteRegistration",
	"newsletter_optin":    "Subscribe",
	"sms_optin":           "SmsOptin",
	"cart_updated":        addToCart,
	"checkout_started":    "InitiateCheckout",
	"product_viewed":      "ViewContent",
	"search":              "Search",
	"page_viewed":         "Pageview",
	destination.AnyCustom: destination.OwnName,
}

const addToCart = "AddToCart"

// purchases are the names by which TikTok has called a sale, until 2024 and since.
var purchases = []string{"CompletePayment", "Purchase"}

// settings are Options that were checked and filled in.
type settings struct {
	Options
	mapping destination.Mapping
	address string
}

func newSettings(options Options) (settings, error) {
	s := settings{Options: options, mapping: defaults.With(options.Events)}
	s.EventSource = or(s.EventSource, "web")
	s.APIVersion = or(s.APIVersion, "v1.3")
	s.BaseURL = strings.TrimSuffix(or(s.BaseURL, "https://business-api.tiktok.com"), "/")
	if err := s.check(); err != nil {
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

var (
	tokens    = regexp.MustCompile(`^[\x21-\x7e]+$`) // what a header can carry
	versions  = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]{1,2}$`)
	eventName = regexp.MustCompile(`^[A-Za-z0-9_]{1,50}$`)
)

func (s *settings) check() error {
	switch {
	case s.AccessToken == "":
		return errors.New("access_token: is required")
	case !tokens.MatchString(s.AccessToken):
		return errors.New("access_token: must be visible ASCII characters")
	case !slices.Contains(EventSources, s.EventSource):
		return errors.New("event_source: must be one of " + strings.Join(EventSources, ", "))
	case s.EventSourceID == "":
		return errors.New("event_source_id: is required")
	case !versions.MatchString(s.APIVersion):
		return errors.New("api_version: must be a version such as v1.3")
	}
	return s.checkNames()
}

// checkNames refuses names that TikTok may not take, and one name for both states of an order, which
// would count the order twice: their ids differ.
func (s *settings) checkNames() error {
	for event, called := range s.mapping {
		if called == destination.OwnName && strings.HasPrefix(event, destination.CustomPrefix) {
			continue
		}
		if !destination.IsName(event) || !eventName.MatchString(called) {
			return fmt.Errorf("events: %s must be called by up to 50 letters, digits and _", event)
		}
	}
	placed, paid := s.mapping["order_placed"], s.mapping["order_paid"]
	if placed != "" && (placed == paid || (isPurchase(placed) && isPurchase(paid))) {
		return errors.New("events: order_placed and order_paid must not have the same name, nor both that of a sale, which would count an order twice")
	}
	return nil
}

func isPurchase(called string) bool { return slices.Contains(purchases, called) }

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
