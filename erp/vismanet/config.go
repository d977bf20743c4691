package vismanet

import (
	"time"

	"kvit/config"
	"kvit/erp"
)

// Kind is a company in Visma Net ERP, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "visma_net",
	ERP:  &config.ERPDefaults{Poll: 5 * time.Minute, Overlap: 15 * time.Minute},
	Read: erp.Reader(readOptions),
}

// Options are the keys of the kind's own.
type Options struct {
	ClientID     string
	ClientSecret config.Secret
	TenantID     string // of the company, not of the contract
	Scope        string
	RefField     string   // member of an order that has the web order's reference
	OrderTypes   []string // types whose orders count; at least one
	BaseURL      string   // of the sales order API, without a slash at its end
	TokenURL     string
}

// RefFields are the members of an order in lists that a reference can stand in: its own number is one.
var RefFields = []string{"customerRefNo", "customerOrder", ownNumber}

const ownNumber = "orderId"

const (
	defaultBaseURL  = "https://salesorder.visma.net/api/v3"
	defaultTokenURL = "https://connect.visma.com/connect/token" //nolint:gosec // G101: an address, no credentials
	defaultScope    = "visma.net.erp.salesorder:read"
)

func readOptions(s *config.Section) Options {
	o := Options{
		ClientID:     s.RequiredText("client_id", config.VisibleASCII),
		ClientSecret: s.RequiredSecret("client_secret", config.VisibleASCII),
		TenantID:     s.RequiredText("tenant_id", tenantID),
		Scope:        s.Text("scope", defaultScope, scope),
		RefField:     s.Choice("ref_field", RefFields[0], RefFields...),
		OrderTypes:   s.Texts("order_types", orderType),
		BaseURL:      s.URL("base_url", defaultBaseURL),
		TokenURL:     s.URL("token_url", defaultTokenURL),
	}
	if len(o.OrderTypes) == 0 {
		o.OrderTypes = []string{"SO"}
	}
	erp.CheckOwnNumber(s, o.RefField, ownNumber)
	return o
}

var (
	tenantID  = config.Matches(`[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`, "is not the id of a tenant, as in 01234567-89ab-cdef-0123-456789abcdef")
	scope     = config.Matches(`[\x21-\x7e]+(?: [\x21-\x7e]+)*`, "is not a list of scopes with blanks between them")
	orderType = config.Matches(`[A-Z0-9]{1,10}`, "is not an order type such as SO")
)
