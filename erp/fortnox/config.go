package fortnox

import (
	"slices"
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

	RefField        string // member of orders that has the web order's reference
	InvoiceRefField string // of invoices; empty: they are not asked

	BaseURL  string // without a slash at its end
	TokenURL string
}

// RefFields are the members for references that lists have and that can be searched, ownNumber in orders alone.
// YourOrderNumber is neither in lists nor can it be searched.
var RefFields = []string{"ExternalInvoiceReference1", "ExternalInvoiceReference2"}

const ownNumber = "DocumentNumber"

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
		RefField:     s.Choice("ref_field", RefFields[0], slices.Concat(RefFields, []string{ownNumber})...),
		BaseURL:      s.URL("base_url", defaultBaseURL),
		TokenURL:     s.URL("token_url", defaultTokenURL),
	}
	same := o.RefField
	if same == ownNumber {
		same = config.None // an invoice has a number of its own
	}
	if o.InvoiceRefField = s.Choice("invoice_ref_field", same, slices.Concat(RefFields, []string{config.None})...); o.InvoiceRefField == config.None {
		o.InvoiceRefField = ""
	}
	erp.CheckOwnNumber(s, o.RefField, ownNumber)
	s.Require("tenant_id")
	o.TenantID = s.Integer("tenant_id", 0, 1, 999_999_999)
	return o
}

var scope = config.Matches(`[\x21-\x7e]+(?: [\x21-\x7e]+)*`, "is not a list of scopes with blanks between them")
