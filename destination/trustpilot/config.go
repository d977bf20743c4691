package trustpilot

import (
	"time"

	"kvit/config"
	"kvit/destination"
)

// Kind is a business unit at Trustpilot, as kvit.yaml names it. The default rate stays below the 833 calls in 5 minutes
// that Trustpilot recommends (https://developers.trustpilot.com/rate-limiting).
var Kind = config.Kind{
	Name: "trustpilot", Concurrency: 2, Consent: "marketing", Rate: "2/s", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://developers.trustpilot.com/invitation-api",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	return Options{
		BusinessUnitID:    s.RequiredText("business_unit_id", objectID),
		BusinessUserID:    s.RequiredText("business_user_id", objectID),
		APIKey:            s.RequiredSecret("api_key", config.VisibleASCII),
		APISecret:         s.RequiredSecret("api_secret", config.VisibleASCII),
		TemplateID:        s.RequiredText("template_id", objectID),
		Products:          s.Boolean("products", false),
		ProductTemplateID: s.Text("product_template_id", "", objectID),
		Delay:             s.Duration("delay", DefaultDelay, 0, 365*24*time.Hour),
		Locale:            s.Text("locale", DefaultLocale, localeForm),
		Locales:           readLocales(s.Section("locales")),
		RedirectURI:       s.URL("redirect_uri", ""),
		SenderName:        s.Text("sender_name", "", config.OneLine),
		SenderEmail:       s.Text("sender_email", "", mailbox),
		ReplyTo:           s.Text("reply_to", "", mailbox),
		Tags:              s.Texts("tags", config.OneLine),
		TokenURL:          s.URL("token_url", DefaultTokenURL),
		BaseURL:           s.URL("base_url", DefaultBaseURL),
	}
}

func readLocales(s *config.Section) map[string]string {
	return s.Pairs(config.Matches(`[a-z]{2}`, "is not a language of ISO 639-1 (two small letters)"), localeForm)
}

var (
	objectID   = config.Matches(`[0-9a-zA-Z]{8,64}`, "is not an id of Trustpilot (letters and digits, in quotes)")
	localeForm = config.Matches(`[a-z]{2}-[A-Z]{2}`, "is not a locale, as in da-DK")
	mailbox    = config.Matches(`[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+`, "is not an e-mail address")
)
