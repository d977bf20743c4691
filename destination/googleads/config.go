package googleads

import (
	"kvit/config"
	"kvit/destination"
)

// Kind is a conversion action of a Google Ads account, as kvit.yaml names it. The default rate stays below the 300
// requests a minute that a project of Google Cloud may make (https://developers.google.com/data-manager/api/devguides/limits).
var Kind = config.Kind{
	Name: "google_ads", Concurrency: 2, Consent: "marketing", Rate: "4/s", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://developers.google.com/data-manager/api/reference/rest/v1/events/ingest",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	o := Options{
		CustomerID:        s.RequiredText("customer_id", customerID),
		LoginCustomerID:   s.Text("login_customer_id", "", customerID),
		ConversionAction:  s.RequiredText("conversion_action", actionID),
		UserData:          s.Boolean("user_data", true),
		AdUserData:        s.Text("ad_user_data", "marketing", config.Purpose),
		AdPersonalization: s.Text("ad_personalization", "marketing", config.Purpose),
		MerchantID:        s.Text("merchant_id", "", merchantID),
		FeedLabel:         s.Text("merchant_feed_label", "", feedLabel),
		FeedLanguage:      s.Text("merchant_feed_language", "", feedLanguage),
		BaseURL:           s.URL("base_url", DefaultBaseURL),
	}
	o.ServiceAccount, o.OAuth = readCredentials(s)
	return o
}

// readCredentials reads one of the two ways to prove who sends.
func readCredentials(s *config.Section) (account config.Secret, user OAuth) {
	if s.Has("service_account") {
		account = s.RequiredSecretText("service_account", destination.ServiceAccountForm)
	}
	section := s.Section("oauth")
	switch {
	case !section.Present() && !s.Has("service_account"):
		s.Problem("service_account", "is missing, and so is oauth: one of them is required")
	case section.Present() && s.Has("service_account"):
		s.Problem("oauth", "excludes service_account")
		fallthrough
	case section.Present():
		defer section.Finish()
		user = OAuth{
			ClientID:     section.RequiredText("client_id", config.VisibleASCII),
			ClientSecret: section.RequiredSecret("client_secret", config.VisibleASCII),
			RefreshToken: section.RequiredSecret("refresh_token", config.VisibleASCII),
			TokenURL:     section.URL("token_url", DefaultTokenURL),
		}
	}
	return account, user
}

var (
	customerID   = config.Matches(`[0-9]{10}`, "is not the number of a Google Ads account (10 digits without hyphens, in quotes)")
	actionID     = config.Matches(`[0-9]{1,20}`, "is not the id of a conversion action (digits, in quotes)")
	merchantID   = config.Matches(`[0-9]{1,20}`, "is not the id of a Merchant Center account (digits, in quotes)")
	feedLabel    = config.Matches(`[A-Z0-9_-]{1,20}`, "is not the label of a feed (capitals, digits, _ and -)")
	feedLanguage = config.Matches(`[a-z]{2}`, "is not a language of ISO 639-1 (two small letters)")
)
