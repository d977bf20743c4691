// Package fortnox asks Fortnox which orders it has, by its REST API, version 3.
package fortnox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kvit/erp"
)

// Connector asks one company. It is an erp.Finder: rows of lists have no time of change.
type Connector struct {
	options Options
	client  *erp.Client
}

// Make makes the connector.
func (o Options) Make(common erp.Common) (erp.Connector, error) {
	auth := &erp.ClientCredentials{
		TokenURL: o.TokenURL, ID: o.ClientID, Secret: o.ClientSecret, Basic: true,
		Header: http.Header{"Tenantid": {strconv.Itoa(o.TenantID)}},
		Extra:  url.Values{"scope": {o.Scope}},
	}
	return &Connector{options: o, client: erp.NewClient(common, erp.ClientOptions{
		AllowPrivate: erp.IsLocal(o.BaseURL) && erp.IsLocal(o.TokenURL), Auth: auth,
		Rate: 4, Burst: 5, // 25 within any 5 s: 5 at once and 20 by the rate
	})}, nil
}

// Traits tells that a search also finds longer values, so that rows that were not asked for are no fault. Few references a lookup,
// since each is a search of its own.
func (c *Connector) Traits() erp.Traits { return erp.Traits{Batch: 10, Total: true} }

// Close closes idle connections.
func (c *Connector) Close() { c.client.Close() }

// Probe compares the company's database number, which is the id of its tenant, and asks both lists, so that a scope that
// is missing is found.
func (c *Connector) Probe(ctx context.Context) (erp.Proof, error) {
	var answer struct {
		Company struct {
			Database text `json:"DatabaseNumber"`
		} `json:"CompanyInformation"`
	}
	if _, err := c.client.Get(ctx, c.options.BaseURL+"/companyinformation", nil, &answer); err != nil {
		return erp.Proof{}, err
	}
	switch answer.Company.Database {
	case "":
		return erp.Proof{}, erp.Fail(erp.Unproven, "the answer does not tell the company's database number")
	case text(strconv.Itoa(c.options.TenantID)):
	default:
		return erp.Proof{}, erp.Fail(erp.Misconfigured, "the token is of another company than tenant_id %d", c.options.TenantID)
	}
	for _, l := range []list{orders, invoices} {
		if _, _, err := c.page(ctx, l, url.Values{"limit": {"1"}, "page": {"1"}}); err != nil {
			return erp.Proof{}, err
		}
	}
	return erp.Proof{Company: fmt.Sprintf("company %d, orders and invoices readable", c.options.TenantID)}, nil
}

// list is a collection that a document can be in.
type list struct {
	path, member, kind string
}

var (
	orders   = list{"/orders", "Orders", erp.OrderDocument}
	invoices = list{"/invoices", "Invoices", erp.InvoiceDocument}
)

// Lookup searches orders and invoices for each reference: an order can be deleted once it is invoiced, and an
// invoice can be written without one. Orders come first, so that one that is invoiced meanwhile is seen in either.
func (c *Connector) Lookup(ctx context.Context, refs []string, found func([]erp.Document) error) error {
	for _, ref := range refs {
		for _, l := range []list{orders, invoices} {
			if c.field(l) == "" {
				continue
			}
			if err := c.search(ctx, l, ref, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// field is the member that has the reference; empty: the list is not asked.
func (c *Connector) field(l list) string {
	if l == invoices {
		return c.options.InvoiceRefField
	}
	return c.options.RefField
}

const pageSize = 500 // the largest that there is

func (c *Connector) search(ctx context.Context, l list, ref string, found func([]erp.Document) error) error {
	trail := erp.NewTrail("")
	for page := 1; ; page++ {
		rows, last, err := c.page(ctx, l, url.Values{
			strings.ToLower(c.field(l)): {ref}, "limit": {strconv.Itoa(pageSize)}, "page": {strconv.Itoa(page)},
		})
		if err != nil {
			return err
		}
		switch {
		case len(rows) == 0 && last:
			return nil
		case len(rows) == 0:
			return erp.Fail(erp.Malformed, "the ERP gives an empty page that is not the last one")
		}
		if err := trail.Page(string(rows[0].Number)); err != nil {
			return err
		}
		docs, err := c.documents(ctx, l, rows, ref)
		if err != nil {
			return err
		}
		if err := found(docs); err != nil {
			return err
		}
		if last {
			return nil
		}
		if slices.ContainsFunc(rows, func(r row) bool { return !holds(r.ref(c.field(l)), ref) }) {
			return erp.Fail(erp.Malformed, "the ERP answers with pages of documents that have nothing of the reference: its search is ignored")
		}
	}
}

// holds tells whether a search for a reference can find a value: one that begins with it, or has it within.
func holds(value, ref string) bool { return strings.Contains(erp.Fold(value), erp.Fold(ref)) }

// row is an order or invoice in a list: no more of it is read.
type row struct {
	Number     text        `json:"DocumentNumber"`
	Reference1 text        `json:"ExternalInvoiceReference1"`
	Reference2 text        `json:"ExternalInvoiceReference2"`
	Total      json.Number `json:"Total"`
}

func (r row) ref(field string) string {
	return string(map[string]text{RefFields[0]: r.Reference1, RefFields[1]: r.Reference2, ownNumber: r.Number}[field])
}

func (c *Connector) page(ctx context.Context, l list, query url.Values) (rows []row, last bool, err error) {
	var answer map[string]json.RawMessage
	address := c.options.BaseURL + l.path + "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	if _, err := c.client.Get(ctx, address, nil, &answer); err != nil {
		return nil, false, err
	}
	var meta struct {
		Pages   *int `json:"@TotalPages"`
		Current int  `json:"@CurrentPage"`
	}
	if json.Unmarshal(answer["MetaInformation"], &meta) != nil || meta.Pages == nil || json.Unmarshal(answer[l.member], &rows) != nil || rows == nil {
		return nil, false, erp.Fail(erp.Malformed, "the answer has no list of %s, or does not tell its pages", strings.ToLower(l.member))
	}
	if strconv.Itoa(meta.Current) != query.Get("page") && len(rows) > 0 {
		return nil, false, erp.Fail(erp.Malformed, "the ERP gives another page than the one that was asked for")
	}
	for _, r := range rows {
		if r.Number == "" {
			return nil, false, erp.Fail(erp.Malformed, "a document in the answer has no number")
		}
	}
	return rows, meta.Current >= *meta.Pages, nil
}

func (c *Connector) documents(ctx context.Context, l list, rows []row, ref string) ([]erp.Document, error) {
	docs := make([]erp.Document, 0, len(rows))
	for _, r := range rows {
		doc := erp.Document{Kind: l.kind, Ref: r.ref(c.field(l)), Number: string(r.Number), Total: erp.Decimal(r.Total)}
		if l.kind == erp.InvoiceDocument {
			if err := c.invoice(ctx, &doc, ref); err != nil {
				return nil, err
			}
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// invoice completes an invoice. Lists tell neither whether it is a credit note nor which order it came from, so one that
// has the reference is read itself.
func (c *Connector) invoice(ctx context.Context, doc *erp.Document, ref string) error {
	credit := strings.HasPrefix(doc.Total, "-")
	if erp.Fold(doc.Ref) == erp.Fold(ref) {
		var answer struct {
			Invoice *struct {
				Number text `json:"DocumentNumber"`
				Credit text `json:"Credit"`
				Order  text `json:"OrderReference"`
			} `json:"Invoice"`
		}
		if _, err := c.client.Get(ctx, c.options.BaseURL+"/invoices/"+url.PathEscape(doc.Number), nil, &answer); err != nil {
			return err
		}
		if answer.Invoice == nil || string(answer.Invoice.Number) != doc.Number {
			return erp.Fail(erp.Malformed, "the answer is not the invoice that was asked for")
		}
		credit = credit || answer.Invoice.Credit == "true"
		if answer.Invoice.Order != "0" { // what Fortnox writes for none
			doc.OrderNumber = string(answer.Invoice.Order)
		}
	}
	if credit {
		doc.Kind = erp.CreditMemoDocument
	}
	return nil
}

// text is a value that Fortnox writes as text in one place and as a number or truth value in another.
type text string

// UnmarshalJSON takes texts, numbers, truth values and null.
func (t *text) UnmarshalJSON(raw []byte) error {
	var value any
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return fmt.Errorf("read value: %w", err)
	}
	switch v := value.(type) {
	case nil:
		*t = ""
	case string:
		*t = text(v)
	case json.Number:
		*t = text(v)
	case bool:
		*t = text(strconv.FormatBool(v))
	default:
		return fmt.Errorf("read value: is neither text nor number")
	}
	return nil
}
