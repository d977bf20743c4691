package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// OldValue is a value of an order before the order is erased. It is kept in memory alone.
type OldValue struct {
	Ref    string // of the order
	Path   string // column, and where in its document: "checkout.company"
	Text   string
	Erased bool // else it stays
	Named  bool // the policy names it; else it goes with its row or document
	Number bool
}

// mostRows bounds how many rows of a table are read for old values.
const mostRows = 1000

// OldValues reads what the rows hold that EraseTable is going to erase of orders: not those that other orders
// need. What stays of these rows is among them, so that nobody takes it for a copy. Call it before EraseTable.
func OldValues(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, refs []string) ([]OldValue, error) {
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return nil, err
	}
	statement := eraseStatement{orders: o, erasure: e, refType: refType, args: arguments{refs}}
	var from string
	if statement.ofOrders() {
		from = `select t.{ref}::text, to_jsonb(t) from {orders} t where t.` + statement.refs() + " and " + statement.written()
	} else {
		path, where := statement.chosen()
		where += statement.unlessDone()
		from = `select o.{ref}::text, to_jsonb(t) from ` + QuoteTable(e.Table) + ` t, ` + path + ` where ` + where
	}
	return readOld(ctx, tx, e, o.sql(from), statement.args)
}

// OldEventValues is OldValues for the payloads of orders' events.
func OldEventValues(ctx context.Context, tx pgx.Tx, refs []string) ([]OldValue, error) {
	rows, _ := tx.Query(ctx, fmt.Sprintf(`
		select o.ref, e.payload
		from unnest($1::text[]) o (ref)
		join kvit.event e on e.order_ref = kvit.order_ref(o.ref)
		where e.payload is not null and e.erased_at is null
		limit %d`, mostRows), refs) // ForEachRow reports its error
	var reader oldReader
	err := reader.read(rows, func(payload map[string]any) { reader.add("payload", payload, OldValue{Erased: true}) })
	if err != nil {
		return nil, fmt.Errorf("read old values of events: %w", err)
	}
	return reader.values, nil
}

// SampleRefs finds up to limit orders that are not erased, without those of except.
func SampleRefs(ctx context.Context, db DB, o Orders, except []string, limit int) ([]string, error) {
	rows, _ := db.Query(ctx, o.sql(`
		select o.{ref}::text
		from {orders} o
		where `+alive+` and not o.{ref}::text = any ($1::text[])
		limit $2`), append([]string{}, except...), limit) // Collect reports its error
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find some orders: %w", err)
	}
	return refs, nil
}

// oldReader collects the values of rows.
type oldReader struct {
	erasure TableErasure
	plans   map[string]*documentNode // of columns that hold documents
	ref     string
	values  []OldValue
}

var errDocument = errors.New("a row is no document")

func (r *oldReader) read(rows pgx.Rows, each func(map[string]any)) error {
	var text []byte
	_, err := pgx.ForEachRow(rows, []any{&r.ref, &text}, func() error {
		row, ok := decodeDocument(text).(map[string]any)
		if !ok {
			return errDocument
		}
		each(row)
		return nil
	})
	return err
}

func (r *oldReader) readPlans() error {
	for _, w := range r.erasure.Writes {
		if w.Strategy != "json" {
			continue
		}
		var plan documentNode
		if err := json.Unmarshal(w.Plan, &plan); err != nil {
			return fmt.Errorf("read plan of column %s: %w", w.Column, err)
		}
		r.plans[w.Column] = &plan
	}
	return nil
}

// decodeDocument reads numbers as they are written; nil: it is none.
func decodeDocument(text []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) != nil {
		return nil
	}
	return v
}

func (r *oldReader) row(row map[string]any) {
	written := map[string]string{} // strategies by column
	for _, w := range r.erasure.Writes {
		written[w.Column] = w.Strategy
	}
	for column, value := range row {
		strategy, ok := written[column]
		switch {
		case r.erasure.DeleteRows:
			r.add(column, value, OldValue{Erased: true})
		case !ok:
			r.add(column, value, OldValue{})
		case strategy == "json":
			r.planned(column, value, r.plans[column])
		default:
			r.add(column, value, OldValue{Erased: true, Named: true})
		}
	}
}

// planned follows a document's plan: what it does not name goes.
func (r *oldReader) planned(path string, value any, plan *documentNode) {
	if text, ok := value.(string); ok && isDocumentText(text) { // a document in a column of texts
		value = decodeDocument([]byte(text))
	}
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			if plan.Members == nil {
				r.planLeaf(path+"."+name, member, plan)
			} else if next := plan.Members[name]; next != nil {
				r.planned(path+"."+name, member, next)
			} else {
				r.add(path+"."+name, member, OldValue{Erased: true})
			}
		}
	case []any:
		for _, item := range value {
			if plan.Items == nil {
				r.planLeaf(path, item, plan)
			} else {
				r.planned(path, item, plan.Items)
			}
		}
	default:
		r.planLeaf(path, value, plan)
	}
}

func (r *oldReader) planLeaf(path string, value any, plan *documentNode) {
	named := plan.Strategy != ""
	r.add(path, value, OldValue{Erased: plan.Strategy != "keep", Named: named})
}

func isDocumentText(text string) bool {
	text = strings.TrimSpace(text)
	return (strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")) && json.Valid([]byte(text))
}

// add takes all texts and numbers of a value.
func (r *oldReader) add(path string, value any, as OldValue) {
	as.Ref, as.Path = r.ref, path
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			r.add(path+"."+name, member, as)
		}
	case []any:
		for _, item := range value {
			r.add(path, item, as)
		}
	case string:
		if isDocumentText(value) {
			r.add(path, decodeDocument([]byte(value)), as)
			return
		}
		as.Text = value
		r.values = append(r.values, as)
	case json.Number:
		as.Text, as.Number = value.String(), true
		r.values = append(r.values, as)
	}
}
