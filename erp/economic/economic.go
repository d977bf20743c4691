// Package economic asks Visma e-conomic which orders it has, by its REST API.
package economic

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"kvit/erp"
)

// Connector asks one agreement. It is an erp.Finder: documents have no time of change.
type Connector struct {
	options Options
	client  *erp.Client
}

// Make makes the connector.
func (o Options) Make(common erp.Common) (erp.Connector, error) {
	return &Connector{options: o, client: erp.NewClient(common, erp.ClientOptions{
		AllowPrivate: erp.IsLocal(o.BaseURL),
		Auth:         erp.Headers{"X-AppSecretToken": o.AppSecret, "X-AgreementGrantToken": o.Grant},
		Rate:         5, Burst: 10, // no limit is published
	})}, nil
}

// Traits tells that $eq: compares whole values, without regard to case.
func (c *Connector) Traits() erp.Traits { return erp.Traits{Batch: 20, Exact: true, Total: true} }

// Close closes idle connections.
func (c *Connector) Close() { c.client.Close() }

// place is a collection that a document can be in.
type place struct {
	path   string
	kind   string
	number func(row) json.Number
	prefix string // of its number
}

// places are in the order in which a document goes through them, so that one that moves on while they are asked is seen
// in the later one. An order that was never sent is not archived when it becomes an invoice: it is gone from
// the orders. A draft of an invoice has a number of its own, until it is booked.
var places = []place{
	{"/orders/drafts", erp.OrderDocument, row.order, ""},
	{"/orders/sent", erp.OrderDocument, row.order, ""},
	{"/orders/archived", erp.OrderDocument, row.order, ""},
	{"/invoices/drafts", erp.InvoiceDocument, row.draft, "draft "},
	{"/invoices/booked", erp.InvoiceDocument, row.booked, ""},
}

// row is a document in a list: no more of it is read.
type row struct {
	OrderNumber  json.Number `json:"orderNumber"`
	DraftNumber  json.Number `json:"draftInvoiceNumber"`
	BookedNumber json.Number `json:"bookedInvoiceNumber"`
	Gross        json.Number `json:"grossAmount"`
	References   struct {
		Other string `json:"other"`
	} `json:"references"`
	Notes struct {
		Heading string `json:"heading"`
	} `json:"notes"`
}

func (r row) ref(property string) string {
	switch property {
	case "references.other":
		return r.References.Other
	case "notes.heading":
		return r.Notes.Heading
	default:
		return r.OrderNumber.String()
	}
}

func (r row) order() json.Number  { return r.OrderNumber }
func (r row) draft() json.Number  { return r.DraftNumber }
func (r row) booked() json.Number { return r.BookedNumber }

// Probe compares the number of the agreement, and asks every collection, so that a role that is missing is found.
func (c *Connector) Probe(ctx context.Context) (erp.Proof, error) {
	var self struct {
		Agreement json.Number `json:"agreementNumber"`
	}
	if _, err := c.client.Get(ctx, c.options.BaseURL+"/self", header(), &self); err != nil {
		return erp.Proof{}, err
	}
	if self.Agreement == "" {
		return erp.Proof{}, erp.Fail(erp.Unproven, "the answer does not tell the number of the agreement")
	}
	if self.Agreement.String() != fmt.Sprint(c.options.Agreement) {
		return erp.Proof{}, erp.Fail(erp.Misconfigured, "the tokens are of another agreement than %d", c.options.Agreement)
	}
	for _, p := range places {
		if _, _, err := c.page(ctx, c.options.BaseURL+p.path+"?pagesize=1&skippages=0"); err != nil {
			return erp.Proof{}, err
		}
	}
	return erp.Proof{Company: fmt.Sprintf("agreement %d, %d collections readable", c.options.Agreement, len(places))}, nil
}

// Lookup asks all collections for the references.
func (c *Connector) Lookup(ctx context.Context, refs []string, found func([]erp.Document) error) error {
	for _, p := range places {
		if c.property(p) == "" {
			continue
		}
		for _, filter := range filters(c.property(p), refs) {
			// 1,000 is the largest page, which is one even of a full batch.
			first := c.options.BaseURL + p.path + "?filter=" + filter + "&pagesize=1000&skippages=0"
			if err := c.pages(ctx, p, first, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// property is the one that has the reference; empty: the place is not asked.
func (c *Connector) property(p place) string {
	if p.kind == erp.InvoiceDocument {
		return c.options.InvoiceRefField
	}
	return c.options.RefField
}

func (c *Connector) pages(ctx context.Context, p place, address string, found func([]erp.Document) error) error {
	trail := erp.NewTrail(address)
	for {
		rows, next, err := c.page(ctx, address)
		if err != nil {
			return err
		}
		docs, err := p.documents(rows, c.property(p))
		if err != nil {
			return err
		}
		if len(docs) > 0 {
			if err := trail.Page(docs[0].Number); err != nil {
				return err
			}
			if err := found(docs); err != nil {
				return err
			}
		}
		switch {
		case next == "":
			return nil
		case len(docs) == 0:
			return erp.Fail(erp.Malformed, "the ERP gives an empty page that is not the last one")
		}
		if address, err = trail.Next(address, next); err != nil {
			return err
		}
	}
}

func (c *Connector) page(ctx context.Context, address string) (rows []row, next string, err error) {
	var answer struct {
		Collection *[]row `json:"collection"`
		Pagination *struct {
			Next string `json:"nextPage"`
		} `json:"pagination"`
	}
	if _, err := c.client.Get(ctx, address, header(), &answer); err != nil {
		return nil, "", err
	}
	if answer.Collection == nil || answer.Pagination == nil {
		return nil, "", erp.Fail(erp.Malformed, "the answer has no collection, or no pagination")
	}
	return *answer.Collection, answer.Pagination.Next, nil
}

// header says what e-conomic asks of every request.
func header() http.Header { return http.Header{"Content-Type": {"application/json"}} }

func (p place) documents(rows []row, property string) ([]erp.Document, error) {
	docs := make([]erp.Document, 0, len(rows))
	for _, r := range rows {
		number := p.number(r).String()
		if number == "" {
			return nil, erp.Fail(erp.Malformed, "a document in the answer has no number")
		}
		kind := p.kind
		if kind == erp.InvoiceDocument && strings.HasPrefix(r.Gross.String(), "-") {
			kind = erp.CreditMemoDocument // it is among the invoices, and has no other sign
		}
		docs = append(docs, erp.Document{Kind: kind, Ref: r.ref(property), Number: p.prefix + number, Total: erp.Decimal(r.Gross)})
	}
	return docs, nil
}
