package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Remains is what a look at an erased table found, in rows by order reference.
type Remains struct {
	Left   map[string]int64 // rows that still hold what should be gone
	Shared map[string]int64 // rows that stay, because other orders have them, too
}

// FindRemains looks for what EraseTable should have erased of orders.
func FindRemains(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, refs []string) (found Remains, err error) {
	var q Queue
	if err := q.FindRemains(ctx, tx, o, e, refs, func(r Remains) error { found = r; return nil }); err != nil {
		return found, err
	}
	return found, q.Run(ctx, tx)
}

// FindRemains queues it; judge is called with what it has found.
func (q *Queue) FindRemains(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, refs []string, judge func(Remains) error) error {
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return err
	}
	statement := eraseStatement{orders: o, erasure: e, refType: refType, args: arguments{refs}}
	text, err := statement.remains()
	if err != nil {
		return fmt.Errorf("verify %s: %w", e.Table, err)
	}
	q.add("verify "+e.Table, text, statement.args, func(rows pgx.Rows) error {
		found := Remains{Left: map[string]int64{}, Shared: map[string]int64{}}
		var ref string
		var left, shared int64
		_, err := pgx.ForEachRow(rows, []any{&ref, &left, &shared}, func() error {
			found.Left[ref], found.Shared[ref] = left, shared
			return nil
		})
		if err != nil {
			return err
		}
		return judge(found)
	})
	return nil
}

func (s *eraseStatement) remains() (string, error) {
	what, err := s.remaining()
	if err != nil {
		return "", err
	}
	if len(s.erasure.Path) == 0 {
		return s.orders.sql(`
			select t.{ref}::text, count(*), 0
			from {orders} t
			where t.` + s.refs() + ` and ({t.erased_at} is null or (` + what + `))
			group by 1`), nil
	}
	needed := "false"
	if s.erasure.isShared() {
		needed = s.needed()
	}
	from, where := s.chosen()
	if len(s.erasure.Earlier) > 0 { // counted there, if it leads to the same order
		where += " and not " + s.otherOrder(s.erasure.Earlier, "other.{ref} = o.{ref}")
	}
	return s.orders.sql(`
		select found.ref, count(*) filter (where not found.needed), count(*) filter (where found.needed)
		from (
		    select o.{ref}::text as ref, ` + needed + ` as needed
		    from ` + QuoteTable(s.erasure.Table) + ` t, ` + from + `
		    where ` + where + ` and (` + what + `)
		) found
		group by 1`), nil
}

// remaining is true of a row that still holds what should be gone.
func (s *eraseStatement) remaining() (string, error) {
	if s.erasure.DeleteRows {
		return "true", nil
	}
	conditions := []string{"false"}
	for _, w := range s.erasure.Writes {
		condition, err := s.remainder(w)
		if err != nil {
			return "", err
		}
		conditions = append(conditions, condition)
	}
	if s.ofOrders() && s.erasure.When != "" {
		return s.written() + " and (" + strings.Join(conditions, " or ") + ")", nil
	}
	return strings.Join(conditions, " or "), nil
}

func (s *eraseStatement) remainder(w Write) (string, error) {
	column := "t." + QuoteColumn(w.Column)
	switch w.Strategy {
	case "null":
		return column + " is not null", nil
	case "text":
		return column + " is distinct from " + s.args.add(w.Text), nil
	case "generalise":
		return "char_length(" + column + "::text) > " + s.args.add(w.Length) + "::integer", nil
	case "truncate_date":
		return column + " is distinct from " + s.truncated(w, column), nil
	case "hash":
		return column + "::text !~ '^[0-9a-f]{64}$'", nil
	case "json":
		// Erasing it once more must change nothing.
		document, err := s.document(w, column, func() string { return "true" })
		return w.parsed(column) + " is distinct from (" + document + ")::jsonb", err
	default:
		return "", fmt.Errorf("look at column %s: %w", w.Column, errStrategy)
	}
}

// CountValues counts what EraseTable is going to overwrite of orders: the values that are not null, by
// column.
func CountValues(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, refs []string) (map[string]int64, error) {
	if len(e.Writes) == 0 {
		return nil, nil
	}
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return nil, err
	}
	s := eraseStatement{orders: o, erasure: e, refType: refType, args: arguments{refs}}
	only, err := s.onlyAgain()
	if err != nil {
		return nil, fmt.Errorf("count values of %s: %w", e.Table, err)
	}
	return s.countValues(ctx, tx, s.values()+only)
}

// values are the rows that are going to be overwritten, each once, however many orders it has.
func (s *eraseStatement) values() string {
	if len(s.erasure.Path) == 0 {
		return s.orders.sql(`from {orders} t where t.`+s.refs()) + " and " + s.written()
	}
	from, where := s.chosen()
	where += s.unlessDone()
	return s.orders.sql(`from ` + QuoteTable(s.erasure.Table) + ` t
		where exists (select from ` + from + ` where ` + where + `)`)
}

// countValues counts those that are not null among rows, by column; the table is "t".
func (s *eraseStatement) countValues(ctx context.Context, tx pgx.Tx, from string) (map[string]int64, error) {
	list := make([]string, len(s.erasure.Writes))
	counts := make([]int64, len(list))
	into := make([]any, len(list))
	for i, w := range s.erasure.Writes {
		list[i], into[i] = "count(t."+QuoteColumn(w.Column)+")", &counts[i]
	}
	if err := tx.QueryRow(ctx, `select `+strings.Join(list, ", ")+` `+from, s.args...).Scan(into...); err != nil {
		return nil, fmt.Errorf("count values of %s: %w", s.erasure.Table, err)
	}
	byColumn := map[string]int64{}
	for i, w := range s.erasure.Writes {
		byColumn[w.Column] = counts[i]
	}
	return byColumn, nil
}

// EventsLeft counts events of orders that still hold what should be gone, by order reference.
func EventsLeft(ctx context.Context, tx pgx.Tx, refs []string) (counts map[string]int64, err error) {
	var q Queue
	q.EventsLeft(refs, func(byRef map[string]int64) error { counts = byRef; return nil })
	return counts, q.Run(ctx, tx)
}

// EventsLeft queues it; judge is called with the counts.
func (q *Queue) EventsLeft(refs []string, judge func(map[string]int64) error) {
	q.add("verify events", `
		select o.ref, count(*)
		from unnest($1::text[]) o (ref)
		join kvit.event e on e.order_ref = kvit.order_ref(o.ref)
		where (payload is not null or consent <> '{}' or stream is not null)
		group by o.ref`, []any{refs}, func(rows pgx.Rows) error {
		counts := map[string]int64{}
		var ref string
		var n int64
		_, err := pgx.ForEachRow(rows, []any{&ref, &n}, func() error {
			counts[ref] = n
			return nil
		})
		if err != nil {
			return err
		}
		return judge(counts)
	})
}
