package store

import (
	"context"
	"fmt"
	"strings"
)

// Customer is a table beside the orders table that says who placed an order. A nil one says nothing.
type Customer struct {
	Table string // "schema.table"
	Match []Pair // Column of it equals Key of the orders table; one at least
	Email string // empty: the table has no such column
	ID    string // empty: the same
}

func (c *Customer) hasEmail() bool { return c != nil && c.Email != "" }

func (c *Customer) hasID() bool { return c != nil && c.ID != "" }

func (c *Customer) table() string {
	if c == nil {
		return ""
	}
	return c.Table
}

// single is the one column of the orders table that leads to the customer; ok is false if it takes several.
func (c *Customer) single() (pair Pair, ok bool) {
	if c == nil || len(c.Match) != 1 {
		return pair, false
	}
	return c.Match[0], true
}

// customerColumn is the column of the orders table with the customer's id: its own, or the key to the table that has
// the id as its own; empty: there is none.
func (o Orders) customerColumn() string {
	if pair, ok := o.Customer.single(); ok && pair.Column == o.Customer.ID {
		return pair.Key
	}
	return o.CustomerID
}

// itself is true of rows that are the person's in the table of customers; none of any other table.
func (s *subjectSearch) itself(table, alias string) []string {
	if table != s.of.Customer.table() || table == "" {
		return nil
	}
	return s.person(alias, true)
}

// person is true of the person's rows in the table of customers, found by their address and, if byID, by their id.
func (s *subjectSearch) person(alias string, byID bool) []string {
	c := s.of.Customer
	var either []string
	if s.subject.Email != "" && c.Email != "" {
		either = append(either, s.email(alias+"."+QuoteColumn(c.Email)))
	}
	if byID && s.subject.CustomerID != "" && c.ID != "" {
		either = append(either, s.customer(c.Table, alias, c.ID))
	}
	return either
}

// joined is true of orders whose customer is the person, but for what the orders table says itself; alias is that
// of the orders table.
func (s *subjectSearch) joined(alias string) []string {
	c := s.of.Customer
	if pair, ok := c.single(); ok {
		return s.keyed(alias, Link{Column: pair.Key, Key: pair.Key})
	}
	persons := s.itself(c.table(), "c")
	if len(persons) == 0 {
		return nil
	}
	conditions := []string{anyOf(persons)}
	for _, p := range c.Match {
		conditions = append(conditions, "c."+QuoteColumn(p.Column)+" = "+alias+"."+QuoteColumn(p.Key))
	}
	return []string{`exists (select from ` + QuoteTable(c.Table) + ` c where ` + strings.Join(conditions, " and ") + `)`}
}

// keyed is true of rows whose column holds the key of the person's row in the table of customers; none if last leads
// to the orders table by another key. The keys are looked up once, so that an index on the column leads to the rows.
func (s *subjectSearch) keyed(alias string, last Link) []string {
	c := s.of.Customer
	pair, ok := c.single()
	if !ok || last.Key != pair.Key {
		return nil
	}
	persons := s.person("c", c.ID != pair.Column) // else the column is the id, and is asked itself
	if len(persons) == 0 {
		return nil
	}
	return []string{alias + "." + QuoteColumn(last.Column) + " = any (array(select c." + QuoteColumn(pair.Column) +
		" from " + QuoteTable(c.Table) + " c where " + anyOf(persons) + "))"}
}

// LackingCustomers tells what is missing for kvit to find orders by their customers in Orders.Customer: the table, a
// column, a right, or a type that fits. Orders are marked and erased without it.
func LackingCustomers(ctx context.Context, db DB, o Orders) ([]string, error) {
	c := o.Customer
	if c == nil {
		return nil, nil
	}
	var exists, canSelect bool
	err := db.QueryRow(ctx, `
		select c.oid is not null, coalesce(has_table_privilege(c.oid, 'select'), false)
		from (select to_regclass($1) as oid) c`, QuoteTable(c.Table)).Scan(&exists, &canSelect)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read rights on %s: %w", c.Table, err)
	case !exists:
		return []string{fmt.Sprintf("table %s does not exist", c.Table)}, nil
	case !canSelect:
		return []string{fmt.Sprintf("select on %s is not granted to this role", c.Table)}, nil
	}
	columns := [][2]string{{c.Table, c.Email}, {c.Table, c.ID}}
	for _, p := range c.Match {
		columns = append(columns, [2]string{c.Table, p.Column}, [2]string{o.Table, p.Key})
	}
	var lacks []string
	for _, column := range columns {
		if column[1] == "" {
			continue
		}
		lack, err := lackingColumn(ctx, db, column[0], column[1], false)
		if err != nil {
			return nil, err
		}
		if lack != "" {
			lacks = append(lacks, lack)
		}
	}
	if len(lacks) > 0 {
		return lacks, nil
	}
	return c.unequal(ctx, db, o)
}

// unequal tells whether the columns of the match cannot be compared.
func (c *Customer) unequal(ctx context.Context, db DB, o Orders) (lacks []string, err error) {
	for _, p := range c.Match {
		var own, key string
		var fits bool
		err := db.QueryRow(ctx, `
			select format_type(own.oid, null), format_type(key.oid, null),
			       own.oid = key.oid or own.typcategory = key.typcategory and own.typcategory in ('S', 'N', 'D')
			from pg_attribute a join pg_type own on own.oid = a.atttypid,
			     pg_attribute b join pg_type key on key.oid = b.atttypid
			where a.attrelid = to_regclass($1) and a.attname = $2 and b.attrelid = to_regclass($3) and b.attname = $4`,
			QuoteTable(c.Table), p.Column, QuoteTable(o.Table), p.Key).Scan(&own, &key, &fits)
		if err != nil {
			return nil, fmt.Errorf("read types of %s.%s: %w", c.Table, p.Column, err)
		}
		if !fits {
			lacks = append(lacks, fmt.Sprintf("%s.%s is %s and cannot be compared with %s.%s, which is %s", c.Table, p.Column, own, o.Table, p.Key, key))
		}
	}
	return lacks, nil
}
