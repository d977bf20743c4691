package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// SubjectRows is what became of the rows of a table that carry what identifies a person.
type SubjectRows struct {
	Erased int64
	Left   int64 // still hold what should be gone
	Shared int64 // stay, because orders that are not erased have them, too
}

// EraseSubjectRows does what e says to rows that carry the person's e-mail address or customer id
// themselves, with or without an order. Rows that hold nothing any more that has to go are not counted.
// Tables whose rows carry neither are left alone.
func EraseSubjectRows(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, s Subject) (SubjectRows, error) {
	var found SubjectRows
	if len(e.Path) == 0 {
		return found, nil
	}
	search, err := newSearch(ctx, tx, o, s, Reached{Table: e.Table, Paths: [][]Link{e.Path}})
	if err != nil {
		return found, err
	}
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return found, err
	}
	search.args = arguments{[]string{}} // no order is erased along
	from, where, ok := search.directly(e.Table, e.Path)
	if !ok {
		return found, nil
	}
	e.Guards = e.everyPath() // the row's own order may be alive
	// What looks like a hash is one: the person's other rows, or an order's, were erased before.
	statement := eraseStatement{orders: o, erasure: e, refType: refType, args: search.args, again: "true"}
	erase, remains, err := statement.ofSubject(from, where)
	if err != nil {
		return found, fmt.Errorf("erase %s: %w", e.Table, err)
	}
	tag, err := tx.Exec(ctx, erase.sql, erase.args...)
	if err != nil {
		return found, fmt.Errorf("erase %s: %w", e.Table, err)
	}
	found.Erased = tag.RowsAffected()
	if err := tx.QueryRow(ctx, remains.sql, remains.args...).Scan(&found.Left, &found.Shared); err != nil {
		return found, fmt.Errorf("verify %s: %w", e.Table, err)
	}
	return found, nil
}

// statementText is a statement with its parameters.
type statementText struct {
	sql  string
	args arguments
}

// ofSubject are the statements that erase the rows of t that the condition is true of, and that look for
// what is left of them.
func (s *eraseStatement) ofSubject(from []string, where string) (erase, remains statementText, err error) {
	before := s.args
	table := QuoteTable(s.erasure.Table)
	what, err := s.remaining()
	if err != nil {
		return erase, remains, err
	}
	remains.sql = s.orders.sql(`
		select count(*) filter (where not found.needed), count(*) filter (where found.needed)
		from (select ` + s.needed() + ` as needed from ` + table + ` t where ` + exists(from, where) + ` and (` + what + `)) found`)
	remains.args = s.args

	s.args = before[:len(before):len(before)]
	what, err = s.remaining()
	if err != nil {
		return erase, remains, err
	}
	where += ` and not ` + s.needed() + ` and (` + what + `)`
	joined := strings.Join(from, ", ")
	switch {
	case s.erasure.DeleteRows && joined != "":
		erase.sql = `delete from ` + table + ` t using ` + joined + ` where ` + where
	case s.erasure.DeleteRows:
		erase.sql = `delete from ` + table + ` t where ` + where
	default:
		set, err := s.assignments()
		if err != nil {
			return erase, remains, err
		}
		if joined != "" {
			joined = ` from ` + joined
		}
		erase.sql = `update ` + table + ` t set ` + strings.Join(set, ", ") + joined + ` where ` + where
	}
	erase.sql = s.orders.sql(erase.sql)
	erase.args = s.args
	return erase, remains, nil
}

// SubjectEvents is what became of the events that say who the person was.
type SubjectEvents struct {
	Erased int64
	Kept   map[string]int64 // stay with their order, which is not erased or on hold, by its reference
}

// EraseSubjectEvents erases events that say who the person was, but for those that an order will take
// along, and those under a hold. o is nil if no shop is configured.
func EraseSubjectEvents(ctx context.Context, tx pgx.Tx, o *Orders, s Subject, now time.Time) (SubjectEvents, error) {
	found := SubjectEvents{Kept: map[string]int64{}}
	search := &subjectSearch{subject: s}
	rows, _ := tx.Query(ctx, `
		select e.id, e.order_ref, e.received_at from kvit.event e where `+search.payload()+` order by e.id for update`, search.args...) // Collect reports its error
	events, err := pgx.CollectRows(rows, pgx.RowToStructByName[looseEvent])
	if err != nil {
		return found, fmt.Errorf("find events of a person: %w", err)
	}
	kept, err := keptRefs(ctx, tx, o, events, now)
	if err != nil {
		return found, err
	}
	var ids []int64
	for _, e := range events {
		if e.OrderRef != nil && kept[*e.OrderRef] {
			found.Kept[*e.OrderRef]++
			continue
		}
		ids = append(ids, e.ID)
	}
	found.Erased = int64(len(ids))
	return found, eraseEvents(ctx, tx, ids, now)
}

// SubjectEventIDs lists the person's events: those of the orders, and those that say who it was.
func SubjectEventIDs(ctx context.Context, db DB, s Subject, refs []string) ([]int64, error) {
	search := &subjectSearch{subject: s}
	rows, _ := db.Query(ctx, search.events(refs), search.args...) // Collect reports its error
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("find events of a person: %w", err)
	}
	return ids, nil
}

// ErasedOrder is an order that a request has erased.
type ErasedOrder struct {
	OrderRef string `json:"order_ref"`
	Shared   int64  `json:"shared"` // rows that stay, because other orders have them, too
}

// ErasedByRequest are those of the orders that a request has erased at this moment.
func ErasedByRequest(ctx context.Context, db DB, refs []string, at time.Time) ([]ErasedOrder, error) {
	rows, _ := db.Query(ctx, `
		select order_ref, coalesce((verification ->> 'shared')::bigint, 0) as shared
		from kvit.erasure_certificate
		where order_ref = any ($1) and erased_at = $2 and clock = $3
		order by number`, refs, at, ClockRequest) // Collect reports its error
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByName[ErasedOrder])
	if err != nil {
		return nil, fmt.Errorf("find certificates of a request: %w", err)
	}
	return orders, nil
}
