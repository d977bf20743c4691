// Package vismanet asks Visma Net ERP (Visma.net) which orders it has, by its sales order API, version 3. That API has no
// filter on references, so it is asked what has changed.
package vismanet

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvit/erp"
)

// Connector asks one company. It is an erp.Follower.
type Connector struct {
	options Options
	client  *erp.Client
}

// Make makes the connector.
func (o Options) Make(common erp.Common) (erp.Connector, error) {
	auth := &erp.ClientCredentials{
		TokenURL: o.TokenURL, ID: o.ClientID, Secret: o.ClientSecret,
		Extra: url.Values{"tenant_id": {o.TenantID}, "scope": {o.Scope}},
	}
	return &Connector{options: o, client: erp.NewClient(common, erp.ClientOptions{
		AllowPrivate: erp.IsLocal(o.BaseURL) && erp.IsLocal(o.TokenURL), Auth: auth, ResetSeconds: true,
	})}, nil
}

// Traits tells that modifiedSince is a filter that holds.
func (c *Connector) Traits() erp.Traits { return erp.Traits{Exact: true, Total: true} }

// Close closes idle connections.
func (c *Connector) Close() { c.client.Close() }

// stream is the place that is asked. Its name is stored.
const stream = "salesOrders"

// Streams is one: an order stays among the orders when it is invoiced, with another status.
func (c *Connector) Streams() []string { return []string{stream} }

// Probe reads the order that was changed last. The token is bound to the tenant, so an order in the answer is one of the
// company; the answer for a company without orders, or without a right to see them, is the same empty list.
func (c *Connector) Probe(ctx context.Context) (erp.Proof, error) {
	rows, _, err := c.page(ctx, url.Values{"orderBy": {"lastModified desc"}, "pageSize": {"1"}, "pageIndex": {"0"}})
	if err != nil {
		return erp.Proof{}, err
	}
	if len(rows) == 0 {
		return erp.Proof{}, erp.Fail(erp.Unproven, "the company has no order: nothing proves that tenant_id is the right one")
	}
	return erp.Proof{Company: "tenant " + c.options.TenantID + ", orders readable"}, nil
}

const (
	pageSize = 100
	// margin is how far before a time is asked. Whether modifiedSince takes in that very time, and parts of a second, is
	// not documented.
	margin = time.Second
	// maxPages is far above what any question of kvit's has.
	maxPages = 100_000
)

// walk is where a reading of all changes stands. Index paging skips rows when rows before them change and move to the
// end, so that after each page the next question begins at the last change seen, with page 0. Only where a page ends
// within the time at which it began is the next index asked for, and such a question is asked again until it
// brings nothing new.
type walk struct {
	since time.Time            // of the question
	index int                  // of the page
	rows  int                  // that came for this question
	pages int                  // of all questions
	fresh int                  // rows among them that had not come before
	trail *erp.Trail           // of this question's pages
	seen  map[string]time.Time // rows that were handed over and can come again, by type, number and change
}

// Since reads the orders that were changed at or after a time.
func (c *Connector) Since(ctx context.Context, _ string, from time.Time, found func([]erp.Document) error) error {
	w := walk{seen: map[string]time.Time{}}
	asked := from.UTC().Truncate(time.Second).Add(-margin)
	w.ask(asked)
	for first := true; ; first = false {
		if w.pages++; w.pages > maxPages {
			return erp.Fail(erp.Malformed, "the answer has more than 100,000 pages")
		}
		rows, total, err := c.page(ctx, w.query())
		if err != nil {
			return err
		}
		fresh, err := w.take(rows, first)
		if err != nil {
			return err
		}
		docs := c.documents(slices.DeleteFunc(fresh, func(r row) bool {
			return r.changed.Before(from) && !r.changed.Before(asked) // asked for by the margin alone
		}))
		if len(docs) > 0 {
			if err := found(docs); err != nil {
				return err
			}
		}
		if !w.ended(rows, total) {
			w.next(rows[len(rows)-1].changed)
		} else if w.quiet() {
			return nil
		}
	}
}

func (w *walk) query() url.Values {
	return url.Values{
		"modifiedSince": {w.since.Format(time.RFC3339)}, "orderBy": {"lastModified asc"},
		"pageSize": {strconv.Itoa(pageSize)}, "pageIndex": {strconv.Itoa(w.index)},
	}
}

// take returns the rows that did not come before. Rows from before the time in the first answer are the watcher's alarm;
// in a later one they mean that it was the answer to an earlier question.
func (w *walk) take(rows []row, first bool) ([]row, error) {
	var fresh []row
	for _, r := range rows {
		if !first && r.changed.Before(w.since) {
			return nil, erp.Fail(erp.Malformed, "the ERP gives rows from before modifiedSince: it ignores it, or repeats a page")
		}
		if _, again := w.seen[r.key()]; again {
			continue
		}
		w.seen[r.key()] = r.changed
		fresh = append(fresh, r)
	}
	w.rows += len(rows)
	w.fresh += len(fresh)
	if len(rows) == 0 {
		return nil, nil
	}
	return fresh, w.trail.Page(rows[0].key())
}

// ended tells whether the question has its whole answer. The size of a page is a wish: a short page is not the last one.
func (w *walk) ended(rows []row, total *int) bool {
	return len(rows) == 0 || total != nil && w.rows >= *total
}

func (w *walk) next(last time.Time) {
	since := last.Truncate(time.Second).Add(-margin)
	switch {
	case !since.After(w.since):
		w.index++
	case w.quiet():
		w.ask(since)
		maps.DeleteFunc(w.seen, func(_ string, changed time.Time) bool { return changed.Before(since) })
	}
}

func (w *walk) ask(since time.Time) {
	w.since, w.index, w.rows, w.fresh, w.trail = since, 0, 0, 0, erp.NewTrail("")
}

// quiet is false if rows can have been skipped, and then begins the question again.
func (w *walk) quiet() bool {
	if w.index == 0 || w.fresh == 0 {
		return true
	}
	w.ask(w.since)
	return false
}

// row is an order in a list: no more of it is read.
type row struct {
	Type          string      `json:"type"`
	OrderID       string      `json:"orderId"`
	CustomerOrder string      `json:"customerOrder"`
	CustomerRefNo string      `json:"customerRefNo"`
	LastModified  string      `json:"lastModified"`
	Total         json.Number `json:"orderTotal"`

	changed time.Time
}

func (r row) key() string { return r.Type + " " + r.OrderID + " " + r.LastModified }

func (c *Connector) page(ctx context.Context, query url.Values) (rows []row, total *int, err error) {
	var answer struct {
		Total *int   `json:"totalCount"`
		Value *[]row `json:"value"`
	}
	address := c.options.BaseURL + "/SalesOrders?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	if _, err := c.client.Get(ctx, address, nil, &answer); err != nil {
		return nil, nil, err
	}
	if answer.Value == nil {
		return nil, nil, erp.Fail(erp.Malformed, "the answer has no list of orders")
	}
	rows = *answer.Value
	for i := range rows {
		if rows[i].changed, err = moment(rows[i].LastModified); err != nil {
			return nil, nil, err
		}
		if rows[i].Type == "" || rows[i].OrderID == "" {
			return nil, nil, erp.Fail(erp.Malformed, "an order in the answer has no type or number")
		}
	}
	return rows, answer.Total, nil
}

// moment reads a time. Without an offset it is UTC, as Visma says of the times in questions.
func moment(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} { // both take parts of a second
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, erp.Fail(erp.Malformed, "an order in the answer has no readable time of change")
}

func (c *Connector) documents(rows []row) []erp.Document {
	docs := make([]erp.Document, 0, len(rows))
	for _, r := range rows {
		kind := c.kind(r.Type)
		if kind == "" {
			continue
		}
		ref := map[string]string{"customerRefNo": r.CustomerRefNo, "customerOrder": r.CustomerOrder, ownNumber: r.OrderID}[c.options.RefField]
		docs = append(docs, erp.Document{Kind: kind, Ref: ref, Number: c.number(r), ChangedAt: r.changed, Total: erp.Decimal(r.Total)})
	}
	return docs
}

// otherTypes are what types mean that Visma Net ERP comes with, and that are no orders.
var otherTypes = map[string]string{
	"QT": erp.QuoteDocument,
	"CM": erp.CreditMemoDocument, "CR": erp.CreditMemoDocument, "RC": erp.CreditMemoDocument, "RM": erp.CreditMemoDocument, "RR": erp.CreditMemoDocument,
}

// kind is empty for types that a company has made itself and that are not in order_types: they may be quotes.
func (c *Connector) kind(orderType string) string {
	if slices.Contains(c.options.OrderTypes, orderType) {
		return erp.OrderDocument
	}
	return otherTypes[orderType]
}

// number tells an order from all others: numbers are unique within their type alone.
func (c *Connector) number(r row) string {
	if len(c.options.OrderTypes) == 1 {
		return r.OrderID
	}
	return r.Type + " " + r.OrderID
}
