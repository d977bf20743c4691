package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Subject is a person who asks for their data or for its erasure, by what the shop knows them by. At
// least one is given; with both, whoever has either is meant. kvit neither stores nor logs them.
type Subject struct {
	Email      string // compared without regard to capitals
	CustomerID string
}

// ErrNotSearchable says that the orders table has no column to find the person by.
var ErrNotSearchable = errors.New("orders cannot be searched")

// Searchable returns ErrNotSearchable, with the key that is missing in the configuration, if the
// person's orders cannot be found.
func (s Subject) Searchable(o Orders) error {
	switch {
	case s.Email != "" && o.Email == "" && !o.Customer.hasEmail():
		return fmt.Errorf("find a person by e-mail address: %w: shop.orders.email is not set, nor shop.orders.customer.email", ErrNotSearchable)
	case s.CustomerID != "" && o.CustomerID == "" && !o.Customer.hasID():
		return fmt.Errorf("find a person by customer id: %w: shop.orders.customer_id is not set, nor shop.orders.customer.id", ErrNotSearchable)
	}
	return nil
}

// SubjectOrder is an order of the person and what decides about its erasure.
type SubjectOrder struct {
	Ref        *string // nil: an order without a reference is none yet, to kvit
	ImportedAt *time.Time
	ErasedAt   *time.Time
	DueAt      *time.Time // when the first of its clocks is up; nil: none has begun
	Held       bool
	HeldUntil  *time.Time // nil: until it is released
	Customer   bool       // it has a customer id
}

// SubjectOrders lists the orders of the person, the oldest first.
func SubjectOrders(ctx context.Context, db DB, o Orders, s Subject, now time.Time) ([]SubjectOrder, error) {
	search, err := newSearch(ctx, db, o, s)
	if err != nil {
		return nil, err
	}
	customer := "false"
	if o.CustomerID != "" {
		customer = "o." + QuoteColumn(o.CustomerID) + " is not null"
	} else if o.Customer.hasID() {
		customer = "o." + QuoteColumn(o.Customer.Match[0].Key) + " is not null"
	}
	// No join: the clocks' predicates name columns of the orders table alone.
	rows, _ := db.Query(ctx, o.sql(`
		select o.{ref}::text as ref, {o.imported_at}::timestamptz as imported_at, {o.erased_at}::timestamptz as erased_at,
		       {due_at} as due_at, `+held(search.args.add(now))+` as held,
		       (select h.expires_at from kvit.legal_hold h where h.order_ref = kvit.order_ref(o.{ref}::text)) as held_until, `+customer+` as customer
		from {orders} o
		where `+search.orders()+`
		order by o.{placed_at}, o.{ref}`), search.args...) // Collect reports its error
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByName[SubjectOrder])
	if err != nil {
		return nil, fmt.Errorf("find orders of a person: %w", err)
	}
	return orders, nil
}

// Reached is a table whose rows are found through orders.
type Reached struct {
	Table string
	Paths [][]Link // to the orders table; never empty, nor is one of them
}

// lastOf is the table, and its link, by which a path from a table arrives at the orders table.
func lastOf(from string, path []Link) (table string, link Link) {
	n := len(path) - 1
	if n == 0 {
		return from, path[0]
	}
	return path[n-1].Table, path[n]
}

// subjectSearch builds conditions about a person, and collects the parameters of a statement.
type subjectSearch struct {
	of      Orders
	subject Subject
	types   map[[2]string]string // of the columns, by table and name
	args    arguments
}

// newSearch reads the types of the columns in which the person's customer id may stand: the orders
// table's, and those that tie tables to it.
func newSearch(ctx context.Context, db DB, o Orders, s Subject, reached ...Reached) (*subjectSearch, error) {
	search := &subjectSearch{of: o, subject: s, types: map[[2]string]string{}}
	id := o.customerColumn()
	if s.CustomerID == "" || id == "" && !o.Customer.hasID() {
		return search, nil
	}
	tables, columns := []string{o.Table}, []string{id}
	if o.Customer.hasID() {
		tables, columns = append(tables, o.Customer.Table), append(columns, o.Customer.ID)
	}
	for _, r := range reached {
		for _, path := range r.Paths {
			if table, link := lastOf(r.Table, path); id != "" && link.Key == id {
				tables, columns = append(tables, table), append(columns, link.Column)
			}
		}
	}
	rows, _ := db.Query(ctx, `
		select n.name, n.column_name, format_type(a.atttypid, null)
		from unnest($1::text[], $2::text[], $3::text[]) as n (name, quoted, column_name)
		join pg_attribute a on a.attrelid = `+classOf("n.quoted")+` and a.attname = n.column_name and not a.attisdropped`,
		tables, quoteTables(tables), columns) // ForEachRow reports its error
	var table, column, sqlType string
	_, err := pgx.ForEachRow(rows, []any{&table, &column, &sqlType}, func() error {
		search.types[[2]string{table, column}] = sqlType
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read types of customer ids: %w", err)
	}
	return search, nil
}

// orders is true of the person's orders; the orders table is "o".
func (s *subjectSearch) orders() string {
	var either []string
	if s.subject.Email != "" && s.of.Email != "" {
		either = append(either, s.email("o."+QuoteColumn(s.of.Email)))
	}
	if id := s.of.customerColumn(); s.subject.CustomerID != "" && id != "" {
		either = append(either, s.customer(s.of.Table, "o", id))
	}
	return anyOf(append(either, s.joined("o")...))
}

func anyOf(conditions []string) string {
	if len(conditions) == 0 {
		return "false"
	}
	return "(" + strings.Join(conditions, " or ") + ")"
}

func (s *subjectSearch) email(value string) string {
	return "lower(" + value + "::text) = lower(" + s.args.add(s.subject.Email) + "::text)"
}

// customer compares in the column's type where it is a usual one, so that Postgres can use an index.
func (s *subjectSearch) customer(table, alias, column string) string {
	value, name := s.subject.CustomerID, alias+"."+QuoteColumn(column)
	sqlType := s.types[[2]string{table, column}]
	switch sqlType {
	case "uuid":
		value = strings.ToLower(value)
	case "smallint", "integer", "bigint":
	case "text", "character varying":
		return name + " = " + s.args.add(value) + "::text"
	default:
		return name + "::text = " + s.args.add(value) + "::text"
	}
	if !fitsType(value, sqlType) {
		return "false"
	}
	return name + " = " + s.args.add(value) + "::text::" + sqlType
}

// payload is true of events that say who it was; e is kvit.event.
func (s *subjectSearch) payload() string {
	var either []string
	if s.subject.Email != "" {
		either = append(either, "kvit.email_address(kvit.payload_text(e.payload, 'customer', 'email')) = kvit.email_address("+s.args.add(s.subject.Email)+"::text)")
	}
	if s.subject.CustomerID != "" {
		either = append(either, "btrim(kvit.payload_text(e.payload, 'customer', 'id')) = "+s.args.add(s.subject.CustomerID)+"::text")
	}
	return "e.erased_at is null and " + anyOf(either)
}

// events are the ids of the person's events: those of orders, and those that say who it was.
func (s *subjectSearch) events(refs []string) string {
	return `select id from kvit.event where order_ref in (select kvit.order_ref(o.ref) from unnest(` + s.args.add(slices.Concat([]string{}, refs)) + `::text[]) o (ref))
		union select e.id from kvit.event e where ` + s.payload()
}

// directly is true of rows of t that the person's e-mail address or customer id leads to without an
// order, by way of the tables in from; ok is false if the path to the orders goes by something else.
func (s *subjectSearch) directly(start string, path []Link) (from []string, where string, ok bool) {
	var conditions, either []string
	alias := "t"
	either = append(either, s.itself(start, alias)...)
	for i, l := range path[:len(path)-1] {
		next := fmt.Sprintf("d%d", i)
		from = append(from, QuoteTable(l.Table)+" "+next)
		conditions = append(conditions, l.conditions(alias, func(p Pair) string { return next + "." + QuoteColumn(p.Key) })...)
		alias = next
		either = append(either, s.itself(l.Table, alias)...)
	}
	table, last := lastOf(start, path)
	if last.When != "" {
		conditions = append(conditions, last.when(alias))
	}
	switch id := s.of.customerColumn(); {
	case s.subject.Email != "" && last.Key == s.of.Email:
		either = append(either, s.email(alias+"."+QuoteColumn(last.Column)))
	case s.subject.CustomerID != "" && id != "" && last.Key == id:
		either = append(either, s.customer(table, alias, last.Column))
	}
	if table != s.of.Customer.table() { // where itself has said it
		either = append(either, s.keyed(alias, last)...)
	}
	if len(either) == 0 {
		return nil, "", false
	}
	return from, strings.Join(append(conditions, anyOf(either)), " and "), true
}
