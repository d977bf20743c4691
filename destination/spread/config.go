package spread

import (
	"slices"
	"strings"

	"kvit/config"
	"kvit/destination"
)

// Kind is an account at the marketing CRM SPREAD, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "spread", Concurrency: 5, Consent: "marketing", Read: destination.Reader(readOptions),
	Docs: "https://help.spreadfamily.fr",
}

// Make makes the destination. SPREAD's names cannot be changed.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.HTTP, o.Logger = common.HTTP, common.Logger
	return New(o)
}

func readOptions(s *config.Section) Options {
	o := Options{
		PublicKey:    s.RequiredSecret("public_key", userName),
		PrivateKey:   s.RequiredSecret("private_key"),
		ValidateOn:   s.Choice("validate_on", Paid, Paid, Registered),
		Identity:     s.Choice("identity", Email, Email, ExternalID),
		Grants:       readGrants(s.Section("grants")),
		Tags:         s.Texts("tags", tag),
		OrderTags:    s.Texts("order_tags", tag),
		CustomFields: s.Section("custom_fields").Pairs(fieldID, payloadPath),
		CartTrigger:  s.TextOrNone("cart_trigger", "abandoned_cart", config.TechnicalName),
		TimeZone:     s.Text("time_zone", defaultTimeZone, config.TimeZone),
		BaseURL:      s.URL("base_url", defaultBaseURL),
	}
	o.URLs = readURLs(s.Section("urls"), urlsAt(o.BaseURL))
	return o
}

func readGrants(s *config.Section) Grants {
	defer s.Finish()
	return Grants{
		Order:      s.TextOrNone("order", "LegalBasisOrder", config.TechnicalName),
		Account:    s.TextOrNone("account", "LegalBasisOptin", config.TechnicalName),
		EmailOptin: s.TextOrNone("email_optin", "NewsEmail", config.TechnicalName),
		SMSOptin:   s.TextOrNone("sms_optin", "NewsSMS", config.TechnicalName),
	}
}

func readURLs(s *config.Section, usual URLs) URLs {
	defer s.Finish()
	return URLs{
		CreateAccount: s.URL("create_account", usual.CreateAccount),
		UpdateAccount: s.URL("update_account", usual.UpdateAccount),
		CreateOrder:   s.URL("create_order", usual.CreateOrder),
		UpdateOrder:   s.URL("update_order", usual.UpdateOrder),
		Automations:   s.URL("automations", usual.Automations),
	}
}

var fieldID = config.Matches(`[1-9][0-9]{0,9}`, "is not the number of a field at SPREAD")

// payloadObjects are the top-level objects of an event's payload.
var payloadObjects = []string{"customer", "order", "cart", "optin", "client", "custom"}

var pathForm = config.Matches(`[A-Za-z0-9_-]{1,100}(?:\.[A-Za-z0-9_-]{1,100}){1,9}`,
	"is not a path into the payload, as in custom.customer_group")

func payloadPath(text string) string {
	if problem := pathForm(text); problem != "" {
		return problem
	}
	first, _, _ := strings.Cut(text, ".")
	if !slices.Contains(payloadObjects, first) {
		return "must begin with " + config.JoinOr(payloadObjects)
	}
	return ""
}

func tag(text string) string {
	if len(text) > 250 {
		return "is longer than 250 characters"
	}
	return config.OneLine(text)
}

// userName refuses what Basic authentication cannot carry (RFC 7617, section 2).
func userName(text string) string {
	if strings.Contains(text, ":") {
		return "contains a colon, as if it held both keys"
	}
	return ""
}
