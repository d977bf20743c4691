package economic

import (
	"slices"
	"time"

	"kvit/config"
	"kvit/erp"
)

// Kind is an agreement in Visma e-conomic, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "economic",
	ERP:  &config.ERPDefaults{Poll: 10 * time.Minute, RefMaxLength: maxReference},
	Read: erp.Reader(readOptions),
}

// maxReference is how long references.other can be.
const maxReference = 250

// Options are the keys of the kind's own.
type Options struct {
	AppSecret config.Secret // X-AppSecretToken: of the app
	Grant     config.Secret // X-AgreementGrantToken: of the agreement that has let the app in
	Agreement int           // number of that agreement

	RefField        string // property of orders that has the web order's reference
	InvoiceRefField string // of invoices; empty: they are not asked

	BaseURL string // without a slash at its end
}

// RefFields are the properties that a reference can stand in, ownNumber in orders alone.
var RefFields = []string{"references.other", "notes.heading"}

const ownNumber = "orderNumber"

const defaultBaseURL = "https://restapi.e-conomic.com"

func readOptions(s *config.Section) Options {
	o := Options{
		AppSecret: s.RequiredSecret("app_secret_token", config.VisibleASCII),
		Grant:     s.RequiredSecret("agreement_grant_token", config.VisibleASCII),
		BaseURL:   s.URL("base_url", defaultBaseURL),
		RefField:  s.Choice("ref_field", RefFields[0], slices.Concat(RefFields, []string{ownNumber})...),
	}
	same := o.RefField
	if same == ownNumber {
		same = RefFields[0]
	}
	if o.InvoiceRefField = s.Choice("invoice_ref_field", same, slices.Concat(RefFields, []string{config.None})...); o.InvoiceRefField == config.None {
		o.InvoiceRefField = ""
	}
	erp.CheckOwnNumber(s, o.RefField, ownNumber)
	s.Require("agreement")
	o.Agreement = s.Integer("agreement", 0, 1, 999_999_999)
	return o
}
