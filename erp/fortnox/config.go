package fortnox

import (
	"time"

	"kvit/config"
	"kvit/erp"
)

// Kind is a company in Fortnox, as kvit.yaml names it. Each open order costs two requests a poll.
var Kind = config.Kind{
	Name: "fortnox",
	ERP:  &config.ERPDefaults{Poll: 15 * time.Minute, RefMaxLength: 30},
	Read: erp.Reader(readOptions),
}

// Options are the keys of the kind's own.
type Options struct {
	ClientID     string
	ClientSecret config.Secret
	TenantID     int    // of the company: its database number
	Scope        string // with blanks between
	RefField     string // member of orders and invoices that has the web order's reference
	BaseURL      string // without a slash at its end
	TokenURL     string
}

// RefFields are the members that lists have and that can be searched. YourOrderNumber is neither.
var RefFields = []string{"ExternalInvoiceReference1", "ExternalInvoiceReference2"}

const (
	defaultBaseURL  = "https://api.fortnox.se/3"
	defaultTokenURL = "https://apps.fortnox.se/oauth-v1/token" //nolint:gosec // G101: an address, no credentials
	defaultScope    = "companyinformation order invoice"
)

func readOptions(s *config.Section) Options {
	o := Options{
		ClientID:     s.RequiredText("client_id", config.VisibleASCII),
		ClientSecret: s.RequiredSecret("client_secret", config.VisibleASCII),
		Scope:        s.Text("scope", defaultScope, scope),
		RefField:     s.Choice("ref_field", RefFields[0], RefFields...),
		BaseURL:      s.URL("base_url", defaultBaseURL),
		TokenURL:     s.URL("token_url", defaultTokenURL),
	}
	s.Require("tenant_id")
	o.TenantID = s.Integer("tenant_id", 0, 1, 999_999_999)
	return o
}

var scope = config.Matches(`[\x21-\x7e]+(?: [\x21-\x7e]+)*`, "is not a list of scopes with blanks between them")
