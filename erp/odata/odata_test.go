package odata_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/erp"
	"kvit/erp/erptest"
	"kvit/erp/odata"
	"kvit/erp/odata/odatatest"
)

const companyID = "7dbba574-5f69-4167-a43e-fb975045de15"

// system is one of the three ERPs, for the suite.
type system struct {
	kind             config.Kind
	dialect          odatatest.Dialect
	yaml             string // with %s for the address of the server
	orders, invoices string
	row              func(d erp.Document, changed time.Time) odatatest.Row
	integers         bool
	number           string
}

var systems = map[string]system{
	"BusinessCentral": {
		kind: odata.BusinessCentral, orders: "salesOrders", invoices: "salesInvoices", number: "number",
		dialect: odatatest.Dialect{
			Root: "/api/v2.0/companies(" + companyID + ")", Tokens: true, User: "kvit", Secret: "s3cret", OneField: true,
			Company: odatatest.Row{"id": companyID, "name": "CRONUS Danmark A/S"}, Upper: "externalDocumentNumber",
		},
		yaml: `{kind: business_central, base_url: "ADDRESS", allow_private: true, token_url: "ADDRESS/token", company: ` + companyID +
			`, company_name: "CRONUS Danmark A/S", client_id: kvit, client_secret: "${SECRET}"}`,
		row: func(d erp.Document, changed time.Time) odatatest.Row {
			status := map[string]string{erp.CreditMemoDocument: "Corrective"}[d.Kind]
			return odatatest.Row{"id": d.Number, "number": d.Number, "externalDocumentNumber": d.Ref, "orderNumber": d.OrderNumber, "status": status, "lastModifiedDateTime": changed, "customerName": "Anna"}
		},
	},
	"NAV": {
		kind: odata.NAV, orders: "WebSalesOrders", invoices: "WebPostedInvoices", number: "No",
		dialect: odatatest.Dialect{
			Root: "/ODataV4/Company('CRONUS%20Danmark%20A%2FS')", User: "kvit", Secret: "s3cret", OneField: true,
			Company: odatatest.Row{"Name": "CRONUS Danmark A/S"}, Companies: "/ODataV4/Company", Upper: "External_Document_No",
		},
		yaml: `{kind: nav, base_url: "ADDRESS/ODataV4", allow_private: true, company: "CRONUS Danmark A/S", user: kvit, access_key: "${SECRET}",
    orders: {collection: WebSalesOrders}, invoices: {collection: WebPostedInvoices}}`,
		row: navRow,
	},
	"NAVv3": {
		kind: odata.NAV, orders: "WebSalesOrders", invoices: "WebPostedInvoices", number: "No",
		dialect: odatatest.Dialect{
			Root: "/OData/Company('CRONUS%20Danmark%20A%2FS')", User: "kvit", Secret: "s3cret", OneField: true, V3: true, FormatJSON: true, Zoneless: true,
			Company: odatatest.Row{"Name": "CRONUS Danmark A/S"}, Companies: "/OData/Company", Upper: "External_Document_No",
		},
		yaml: `{kind: nav, odata: v3, base_url: "ADDRESS/OData", allow_private: true, company: "CRONUS Danmark A/S", user: kvit, access_key: "${SECRET}",
    orders: {collection: WebSalesOrders, changed: Modified_At}, invoices: {collection: WebPostedInvoices, changed: Modified_At}}`,
		row: navRow,
	},
	"Uniconta": {
		kind: odata.Uniconta, orders: "DebtorOrderClient", invoices: "DebtorInvoiceClient", number: "OrderNumber", integers: true,
		dialect: odatatest.Dialect{Root: "/odata/123456", User: "shopworker", Secret: "s3cret", OneField: true, V3: true, Sparse: true, Zoneless: true},
		yaml: `{kind: uniconta, base_url: "ADDRESS", allow_private: true, company: "123456", user: shopworker, password: "${SECRET}", time_zone: UTC,
    orders: {changed: UpdatedAt}, invoices: {changed: UpdatedAt}}`,
		row: func(d erp.Document, changed time.Time) odatatest.Row {
			r := odatatest.Row{"RowId": 1, "OurRef": any(d.Ref), "UpdatedAt": changed, "Offer": d.Kind == erp.QuoteDocument, "TotalAmount": 100.5, "Name": "Anna"}
			if d.Ref == "" {
				r["OurRef"] = nil
			}
			if d.Kind == erp.CreditMemoDocument {
				r["TotalAmount"] = -100.5
			}
			number, _ := strconv.Atoi(d.Number)
			if d.Kind == erp.InvoiceDocument || d.Kind == erp.CreditMemoDocument {
				r["InvoiceNumber"] = number
				number, _ = strconv.Atoi(d.OrderNumber)
			}
			r["OrderNumber"] = number
			return r
		},
	},
}

func navRow(d erp.Document, changed time.Time) odatatest.Row {
	kind := map[string]string{erp.OrderDocument: "Order", erp.QuoteDocument: "Quote", erp.CreditMemoDocument: "Credit_x0020_Memo"}[d.Kind]
	return odatatest.Row{"No": d.Number, "Document_Type": kind, "External_Document_No": d.Ref, "Order_No": d.OrderNumber, "Modified_At": changed, "Sell_to_Customer_Name": "Anna"}
}

// bench is a stand-in that the suite can move.
type bench struct {
	*odatatest.Server
	system system
}

func (b *bench) Put(docs ...erp.Document) {
	for _, d := range docs {
		changed := d.ChangedAt
		if changed.IsZero() {
			changed = time.Now().UTC()
		}
		collection := b.system.orders
		// Quotes and credit memos come where the ERP has them, if it has them in these collections at all.
		if d.Kind == erp.InvoiceDocument || d.Kind == erp.CreditMemoDocument && b.system.number != "No" {
			collection = b.system.invoices
		}
		if d.Kind == erp.QuoteDocument && b.system.number == "number" {
			continue
		}
		b.Server.Put(collection, b.system.row(d, changed))
	}
}

func (b *bench) Remove(number string) { b.Server.Remove(b.system.orders, b.system.number, number) }

func (b *bench) Deviate(d erptest.Deviation) {
	switch d {
	case erptest.MatchesPrefixes:
		b.Prefixes = true
	case erptest.IgnoresFilter:
		b.Unfiltered = true
	case erptest.AnswersHTML:
		b.HTML = true
	case erptest.AnswersGarbage:
		b.Garbage = true
	case erptest.RepeatsPage:
		b.Repeats = true
	case erptest.LinksElsewhere:
		b.Elsewhere = true
	case erptest.Redirects:
		b.Redirects = true
	case erptest.LosesToken:
		b.LoseToken()
	case erptest.RefusesToken:
		b.Refuses = true
	case erptest.OtherCompany:
		b.Empty = true
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, s := range systems {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			erptest.Suite{
				Folds: s.dialect.Upper != "", Pages: true, Token: s.dialect.Tokens, Invoices: true, HTTP: true,
				New: func(t *testing.T) erptest.Subject {
					server := odatatest.New(s.dialect, s.orders, s.invoices)
					return erptest.Subject{
						ERP: &bench{server, s},
						Make: func(common erp.Common) (erp.Connector, error) {
							return settings(t, s, serve(t, server)).Make(common)
						},
					}
				},
			}.Run(t)
		})
	}
}

func serve(t *testing.T, server http.Handler) string {
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	return listening.URL
}

// settings reads the configuration of a system that listens at an address.
func settings(t *testing.T, s system, address string) erp.Settings {
	t.Helper()
	e := configured(t, s.kind, s.yaml, address)
	made, ok := e.Settings.(erp.Settings)
	require.True(t, ok)
	return made
}

func configured(t *testing.T, kind config.Kind, yaml, address string) config.ERP {
	t.Helper()
	text := "database: {url: \"${DATABASE_URL}\"}\nshop: {orders: {table: public.orders, ref: number, placed_at: placed}}\nretention: {erase_after_import: 30d}\nerp:\n  one: " +
		strings.ReplaceAll(yaml, "ADDRESS", address) + "\n"
	return configtest.ERP(t, kind, text, configtest.Environment{"SECRET": "s3cret"})
}
