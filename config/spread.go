package config

import (
	"slices"
	"strings"
)

// Spread is an account at the marketing CRM SPREAD (https://help.spreadfamily.fr).
type Spread struct {
	PublicKey    Secret            // user name of the API
	PrivateKey   Secret            // password of the API
	ValidateOn   string            // paid or registered: the state that counts in the account; default paid
	Identity     string            // email or external_id: what identifies a profile; default email, never both
	Grants       Grants            // legal bases and consents that kvit sets
	Tags         []string          // added to every profile
	OrderTags    []string          // added to every order
	CustomFields map[string]string // numeric id of a field at SPREAD -> dotted path into the payload
	CartTrigger  string            // technical name of the automation for carts; empty: carts are not sent
	TimeZone     string            // of order dates; default Europe/Paris
	BaseURL      string            // no slash at the end; default https://social-sb.com
	URLs         SpreadURLs
}

// Grants are technical names of the legal basis or consent that an event gives; empty gives none.
type Grants struct {
	Order      string // a new order; default LegalBasisOrder
	Account    string // a new account; default LegalBasisOptin
	EmailOptin string // an opt-in to e-mail; default NewsEmail
	SMSOptin   string // an opt-in to SMS; default NewsSMS
}

// SpreadURLs are the addresses of the API's methods, BaseURL + /api/... by default.
type SpreadURLs struct {
	CreateAccount string
	UpdateAccount string
	CreateOrder   string
	UpdateOrder   string
	Automations   string // without /trigger/<name>
}

func readSpread(s *Section) *Spread {
	sp := &Spread{
		PublicKey:    s.RequiredSecret("public_key", userName),
		PrivateKey:   s.RequiredSecret("private_key"),
		ValidateOn:   s.Choice("validate_on", "paid", "paid", "registered"),
		Identity:     s.Choice("identity", "email", "email", "external_id"),
		Grants:       readGrants(s.Section("grants")),
		Tags:         s.Texts("tags", tag),
		OrderTags:    s.Texts("order_tags", tag),
		CustomFields: s.Section("custom_fields").Pairs(fieldID, payloadPath),
		CartTrigger:  s.TextOrNone("cart_trigger", "abandoned_cart", TechnicalName),
		TimeZone:     s.Text("time_zone", "Europe/Paris", TimeZone),
		BaseURL:      s.URL("base_url", "https://social-sb.com"),
	}
	sp.URLs = readSpreadURLs(s.Section("urls"), sp.BaseURL)
	return sp
}

func readGrants(s *Section) Grants {
	defer s.Finish()
	return Grants{
		Order:      s.TextOrNone("order", "LegalBasisOrder", TechnicalName),
		Account:    s.TextOrNone("account", "LegalBasisOptin", TechnicalName),
		EmailOptin: s.TextOrNone("email_optin", "NewsEmail", TechnicalName),
		SMSOptin:   s.TextOrNone("sms_optin", "NewsSMS", TechnicalName),
	}
}

func readSpreadURLs(s *Section, base string) SpreadURLs {
	defer s.Finish()
	return SpreadURLs{
		CreateAccount: s.URL("create_account", base+"/api/CreateAccount"),
		UpdateAccount: s.URL("update_account", base+"/api/UpdateAccount"),
		CreateOrder:   s.URL("create_order", base+"/api/CreateOrder"),
		UpdateOrder:   s.URL("update_order", base+"/api/UpdateOrder"),
		Automations:   s.URL("automations", base+"/api/v3/automations"),
	}
}

var fieldID = Matches(`[1-9][0-9]{0,9}`, "is not the number of a field at SPREAD")

// payloadObjects are the top-level objects of an event's payload.
var payloadObjects = []string{"customer", "order", "cart", "optin", "client", "custom"}

var pathForm = Matches(`[A-Za-z0-9_-]{1,100}(?:\.[A-Za-z0-9_-]{1,100}){1,9}`,
	"is not a path into the payload, as in custom.customer_group")

func payloadPath(text string) string {
	if problem := pathForm(text); problem != "" {
		return problem
	}
	first, _, _ := strings.Cut(text, ".")
	if !slices.Contains(payloadObjects, first) {
		return "must begin with " + JoinOr(payloadObjects)
	}
	return ""
}

func tag(text string) string {
	if len(text) > 250 {
		return "is longer than 250 characters"
	}
	return OneLine(text)
}

// userName refuses what Basic authentication cannot carry (RFC 7617, section 2).
func userName(text string) string {
	if strings.Contains(text, ":") {
		return "contains a colon, as if it held both keys"
	}
	return ""
}
