// Package odata asks ERPs that speak OData for orders: Business Central, Dynamics NAV and Uniconta. They are one client
// with three descriptions: where documents are, what their fields are called, and how literals are written.
package odata

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kvit/erp"
)

// collection is a place where documents are.
type collection struct {
	Name        string // as in the address; also the name of its stream
	Kind        string // of its documents
	Ref         string // the field with the web order's reference, as those below a field's name
	Number      string
	OrderNumber string // empty: there is none
	Changed     string // empty: it tells no times of change
	Type        string // of the document, or its status; empty: there is none
	Offer       string // true of a quote; empty: there is none
	Amount      string // negative of a credit memo; empty: there is none
	Total       string // with tax; empty: it is not told, or nobody asks
	Lines       string // how many the document has, or the lines themselves if they are expanded; empty: likewise
	Expanded    bool
}

// fields are all that are needed, each once.
func (c collection) fields() []string {
	var list []string
	for _, f := range []string{c.Number, c.Ref, c.OrderNumber, c.Changed, c.Type, c.Offer, c.Amount, c.Total, c.counted()} {
		if f != "" && !contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}

// counted is the field with the number of lines; empty: there is none.
func (c collection) counted() string {
	if c.Expanded {
		return ""
	}
	return c.Lines
}

// expansion is the value of $expand; empty: nothing is expanded.
func (c collection) expansion() string {
	if !c.Expanded || c.Lines == "" {
		return ""
	}
	return c.Lines + "($select=lineType)"
}

func contains(list []string, text string) bool {
	for _, t := range list {
		if t == text {
			return true
		}
	}
	return false
}

// description is all that tells one ERP from another.
type description struct {
	Root        string // address of the company, without a slash at its end
	Collections []collection
	V3          bool           // literals and next links of OData 2 and 3
	Zone        *time.Location // of times without a zone
	Query       string         // what each query ends with, as in $format=json
	Select      bool           // fields are selected
	Sparse      bool           // fields that are null are left out of the answer
	Integers    bool           // numbers of documents are integers
	Batch       int
	PageSize    int         // 0: none is asked for
	Header      http.Header // of each request

	// The company's own record, and how it must be called; empty: there is none.
	CompanyURL    string
	CompanyField  string
	CompanyName   string
	ProbeDocument string // the number of a document that only this company has; empty: none is known
}

// lookup is a connector that cannot tell changes.
type lookup struct {
	client *erp.Client
	description
	lines, total bool // each collection tells them
}

// connector can.
type connector struct{ lookup }

func newConnector(client *erp.Client, d description, common erp.Common) erp.Connector {
	l := lookup{client: client, description: d, lines: true, total: true}
	for i := range d.Collections {
		c := &d.Collections[i]
		l.lines, l.total = l.lines && c.Lines != "", l.total && c.Total != ""
		if !common.Lines {
			c.Lines = ""
		}
		if !common.Total {
			c.Total = ""
		}
	}
	for _, c := range d.Collections {
		if c.Changed != "" {
			return &connector{l}
		}
	}
	return &l
}

// Traits tells that filters compare whole values.
func (l *lookup) Traits() erp.Traits {
	return erp.Traits{Batch: l.Batch, Exact: true, Lines: l.lines, Total: l.total}
}

// Lookup asks each collection: an order that was invoiced has left the orders.
func (l *lookup) Lookup(ctx context.Context, refs []string, found func([]erp.Document) error) error {
	for _, c := range l.Collections {
		conditions := make([]string, len(refs))
		for i, ref := range refs {
			conditions[i] = c.Ref + " eq " + literal(ref)
		}
		if err := l.read(ctx, c, query{filter: strings.Join(conditions, " or ")}, found); err != nil {
			return err
		}
	}
	return nil
}

// Streams are the collections that tell times of change.
func (c *connector) Streams() []string {
	var names []string
	for _, one := range c.Collections {
		if one.Changed != "" {
			names = append(names, one.Name)
		}
	}
	return names
}

// Since asks by the field of change.
func (c *connector) Since(ctx context.Context, stream string, from time.Time, found func([]erp.Document) error) error {
	for _, one := range c.Collections {
		if one.Name == stream && one.Changed != "" {
			return c.read(ctx, one, query{filter: one.Changed + " ge " + c.moment(from), order: one.Changed}, found)
		}
	}
	return erp.Fail(erp.Misconfigured, "no such collection is followed")
}

// Probe reads the company's record, where there is one, and a document of each collection. Without a record, a document has to
// be there: a wrong company is as empty as a new one.
func (l *lookup) Probe(ctx context.Context) (erp.Proof, error) {
	if l.CompanyURL != "" {
		if err := l.proveCompany(ctx); err != nil {
			return erp.Proof{}, err
		}
	}
	seen := 0
	for _, c := range l.Collections {
		n, err := l.proveCollection(ctx, c)
		if err != nil {
			return erp.Proof{}, err
		}
		seen += n
	}
	if l.ProbeDocument != "" {
		return erp.Proof{Company: "document of probe_document found"}, l.proveDocument(ctx)
	}
	if l.CompanyURL != "" {
		return erp.Proof{Company: "company " + l.CompanyName + ", " + strconv.Itoa(len(l.Collections)) + " collections readable"}, nil
	}
	if seen == 0 {
		return erp.Proof{}, erp.Fail(erp.Unproven, "the company has no documents at all: it is new, or another one than meant")
	}
	return erp.Proof{Company: strconv.Itoa(len(l.Collections)) + " collections readable, documents in them; name a probe_document to prove the company"}, nil
}

func (l *lookup) proveCompany(ctx context.Context) error {
	var answer page
	if _, err := l.client.Get(ctx, l.with(l.CompanyURL, query{}), l.Header, &answer); err != nil {
		return err
	}
	for _, r := range answer.rows {
		if r.text(l.CompanyField) == l.CompanyName {
			return nil
		}
	}
	return erp.Fail(erp.Unproven, "the company is called otherwise than configured: it is another one, or written in another case")
}

// proveCollection reads the beginning of a collection and counts its rows.
func (l *lookup) proveCollection(ctx context.Context, c collection) (int, error) {
	address := l.with(l.Root+"/"+c.Name, query{fields: l.selected(c), expand: c.expansion(), top: 1})
	var answer page
	if _, err := l.client.Get(ctx, address, l.header(1), &answer); err != nil {
		return 0, err
	}
	if !answer.list {
		return 0, erp.Fail(erp.Malformed, "the answer is not a list of documents")
	}
	for _, r := range answer.rows {
		for _, field := range append(c.fields(), c.Lines) {
			if field == "" {
				continue
			}
			if _, there := r[field]; !there && !l.Sparse {
				return 0, erp.Fail(erp.Misconfigured, "%s has no field %s: publish a page with it, or name another field", c.Name, field)
			}
		}
	}
	return len(answer.rows), nil
}

func (l *lookup) proveDocument(ctx context.Context) error {
	for _, c := range l.Collections {
		there := false
		number := literal(l.ProbeDocument)
		if l.Integers {
			number = l.ProbeDocument
		}
		err := l.read(ctx, c, query{filter: c.Number + " eq " + number}, func(docs []erp.Document) error {
			for _, d := range docs {
				there = there || d.Number == l.ProbeDocument
			}
			return nil
		})
		if err != nil || there {
			return err
		}
	}
	return erp.Fail(erp.Unproven, "the company does not have the document of probe_document: it is another one than meant")
}

// read hands over all pages of a query.
func (l *lookup) read(ctx context.Context, c collection, q query, found func([]erp.Document) error) error {
	q.fields, q.expand = l.selected(c), c.expansion()
	address := l.with(l.Root+"/"+c.Name, q)
	trail := erp.NewTrail(address)
	for {
		var answer page
		if _, err := l.client.Get(ctx, address, l.header(l.PageSize), &answer); err != nil {
			return err
		}
		if !answer.list {
			return erp.Fail(erp.Malformed, "the answer is not a list of documents")
		}
		if len(answer.rows) > 0 {
			if err := l.hand(c, q, answer.rows, trail, found); err != nil {
				return err
			}
		}
		if answer.next == "" {
			return nil
		}
		next, err := trail.Next(address, answer.next)
		if err != nil {
			return err
		}
		address = next
	}
}

func (l *lookup) hand(c collection, q query, rows []row, trail *erp.Trail, found func([]erp.Document) error) error {
	if err := trail.Page(rows[0].key(c)); err != nil {
		return err
	}
	docs := make([]erp.Document, len(rows))
	for i, r := range rows {
		d, err := l.document(c, r)
		if err != nil && q.order != "" {
			return err
		}
		docs[i] = d
	}
	return found(docs)
}

// document makes one of a row. An error means that it tells no time of change.
func (l *lookup) document(c collection, r row) (erp.Document, error) {
	d := erp.Document{Kind: c.kindOf(r), Ref: r.text(c.Ref), Number: r.text(c.Number), OrderNumber: r.text(c.OrderNumber)}
	d.Lines, d.Total = r.lines(c), erp.Decimal(json.Number(r.text(c.Total)))
	if c.Changed == "" {
		return d, nil
	}
	changed, ok := parseTime(r.text(c.Changed), l.Zone)
	if !ok {
		return d, erp.Fail(erp.Malformed, "a document has no time in the field %s", c.Changed)
	}
	d.ChangedAt = changed
	return d, nil
}

// kindOf is the kind of a document: the collection's, unless the row says that it is something else.
func (c collection) kindOf(r row) string {
	if c.Offer != "" && strings.EqualFold(r.text(c.Offer), "true") {
		return erp.QuoteDocument
	}
	if c.Amount != "" && strings.HasPrefix(r.text(c.Amount), "-") {
		return erp.CreditMemoDocument
	}
	if c.Type == "" {
		return c.Kind
	}
	switch said := strings.ToLower(strings.NewReplacer("_x0020_", " ", "_", " ").Replace(r.text(c.Type))); said {
	case "quote":
		return erp.QuoteDocument
	case "credit memo", "return order", "corrective":
		return erp.CreditMemoDocument
	case "blanket order":
		return ""
	case "invoice":
		return erp.InvoiceDocument
	default:
		return c.Kind
	}
}

func (l *lookup) selected(c collection) []string {
	if !l.Select {
		return nil
	}
	return c.fields()
}

func (l *lookup) header(pageSize int) http.Header {
	header := l.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if l.PageSize > 0 && !l.V3 {
		header.Set("Prefer", "odata.maxpagesize="+strconv.Itoa(pageSize))
	}
	return header
}

// query is what follows the question mark.
type query struct {
	filter string
	fields []string
	expand string
	order  string
	top    int
}

// with writes an address. Blanks are %20 and the dollar of options stays as it is: real servers refuse what
// url.Values makes of them.
func (l *lookup) with(address string, q query) string {
	var options []string
	if q.filter != "" {
		options = append(options, "$filter="+escape(q.filter))
	}
	if len(q.fields) > 0 {
		options = append(options, "$select="+strings.Join(q.fields, ","))
	}
	if q.expand != "" {
		options = append(options, "$expand="+q.expand)
	}
	if q.order != "" {
		options = append(options, "$orderby="+escape(q.order))
	}
	if q.top > 0 {
		options = append(options, "$top="+strconv.Itoa(q.top))
	}
	if l.Query != "" {
		options = append(options, l.Query)
	}
	if len(options) == 0 {
		return address
	}
	return address + "?" + strings.Join(options, "&")
}

func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// literal is a text in a filter.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// moment is a time in a filter.
func (l *lookup) moment(at time.Time) string {
	if l.V3 {
		return "datetime'" + at.In(l.zone()).Format("2006-01-02T15:04:05") + "'"
	}
	return at.UTC().Format(time.RFC3339)
}

func (l *lookup) zone() *time.Location {
	if l.Zone == nil {
		return time.UTC
	}
	return l.Zone
}
