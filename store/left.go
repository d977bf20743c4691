package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// KeyColumn is a column of a table's primary key.
type KeyColumn struct {
	Name string
	Type string // as Postgres names it without a length
}

// Way names how the erasure finds its rows: each step's columns, the table that it leads to, and a hash of the
// condition, since two ways may differ in that alone.
func (e TableErasure) Way() string {
	steps := make([]string, len(e.Path))
	for i, l := range e.Path {
		var pairs []string
		for _, p := range l.Pairs() {
			pairs = append(pairs, p.Column+"="+l.Table+"."+p.Key)
		}
		steps[i] = strings.Join(pairs, "&")
		if l.When != "" {
			sum := sha256.Sum256([]byte(l.When))
			steps[i] += "?" + hex.EncodeToString(sum[:8])
		}
	}
	return strings.Join(steps, ">")
}

// RememberLeft notes the rows that EraseTable had to leave, because other orders have them, too.
func RememberLeft(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, refs []string) error {
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return err
	}
	s := eraseStatement{orders: o, erasure: e, refType: refType, args: arguments{refs}}
	what, err := s.remaining()
	if err != nil {
		return fmt.Errorf("remember rows of %s: %w", e.Table, err)
	}
	from, where := s.chosen()
	_, err = tx.Exec(ctx, s.orders.sql(`
		with sample as materialized (
		    select to_jsonb(t) as content, `+e.rowKey()+` as key from `+QuoteTable(e.Table)+` t limit `+s.args.add(comparedRows)+`
		), kept as materialized (
		    select `+e.rowKey()+` as key, to_jsonb(t) as content, min(o.{ref}::text) as order_ref
		    from `+QuoteTable(e.Table)+` t, `+from+`
		    where `+where+` and (`+what+`) and `+s.needed()+`
		    group by 1, 2
		)
		insert into kvit.erasure_left (table_name, row_key, way, order_ref, salt, marks)
		select `+s.args.add(e.Table)+`::text, k.key, `+s.args.add(e.Way())+`::text, k.order_ref, r.salt,
		       jsonb_build_object('', `+mark("r.salt", "k.content::text")+`) || coalesce(own.marks, '{}')
		from kept k
		cross join lateral (select gen_random_uuid() as salt, k.key) r
		cross join lateral (
		    select jsonb_object_agg(c.key, `+mark("r.salt", "c.value")+`) as marks
		    from jsonb_each_text(k.content) c
		    where c.value is not null and not k.key ? c.key
		      and not exists (select from sample other where other.key <> k.key and other.content ->> c.key = c.value)
		) own
		on conflict (table_name, row_key, way) do nothing`), s.args...)
	if err != nil {
		return fmt.Errorf("remember rows of %s: %w", e.Table, err)
	}
	return nil
}

// comparedRows is how many rows of a table a value must not occur in to tell one row from another.
const comparedRows = 100

// mark is a digest of a text, too short to give it away.
func mark(salt, text string) string {
	return "left(encode(sha256(convert_to(" + salt + "::text || " + text + ", 'UTF8')), 'hex'), 6)"
}

// rowKey is the primary key of the row t as a document.
func (e TableErasure) rowKey() string {
	members := make([]string, len(e.Primary))
	for i, k := range e.Primary {
		members[i] = quoteText(k.Name) + ", t." + QuoteColumn(k.Name)
	}
	return "jsonb_build_object(" + strings.Join(members, ", ") + ")"
}

// sameRow tells whether t is the row that the candidate c was, and not another one with its key: whatever the shop has
// written to it since, something that no other row had is as it was.
const sameRow = `(c.left_marks is null or exists (
	select from jsonb_each_text(to_jsonb(t) || jsonb_build_object('', to_jsonb(t)::text)) now
	where c.left_marks ->> now.key = left(encode(sha256(convert_to(c.left_salt::text || now.value, 'UTF8')), 'hex'), 6)))`

// fits is true of a row t for which the conditions of its way are, or were when the rows between were there: somebody who
// has an account by now is a guest no more.
func (s *eraseStatement) fits() string {
	conditions := []string{"true"}
	path := s.erasure.Path
	for i, l := range path {
		switch {
		case l.When == "":
		case i == 0:
			conditions = append(conditions, l.when("t"))
		default:
			from, where := reach(path[:i], "f", "above")
			conditions = append(conditions, "not exists (select from "+from+" where "+where+" and not "+l.when("above")+")")
		}
	}
	return strings.Join(conditions, " and ")
}

// LeftRows says which of the rows that were left are looked at: Limit of them after the one numbered After.
type LeftRows struct {
	After int64
	Limit int
}

type leftRow struct {
	ID       int64
	OrderRef string
	Erased   bool // now
	Remains  bool // it was, and holds what should be gone nevertheless
	Open     bool // it was there, and held what should be gone
}

// SweepLeft does what e says to rows that were left and that no living order has any more. It returns the number
// of rows by the reference of the order that left them, and where to go on, also if there is an error; nil is the
// end. Ways are those that the policy knows: a row that was found in another way is taken by whichever comes first.
func SweepLeft(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, ways []string, l LeftRows) (map[string]int64, *LeftRows, error) {
	ids, err := lockLeft(ctx, tx, e, ways, l)
	if err != nil || len(ids) == 0 {
		return nil, nil, err
	}
	var next *LeftRows
	if len(ids) == l.Limit {
		next = &LeftRows{After: ids[len(ids)-1], Limit: l.Limit}
	}
	counts, err := sweepRows(ctx, tx, o, e, ids)
	if err != nil {
		return nil, next, fmt.Errorf("sweep %s: %w", e.Table, err)
	}
	return counts, next, nil
}

// lockLeft finds rows to look at. Those of an order that still waits for a table are not: they are erased with the
// rest of it.
func lockLeft(ctx context.Context, tx pgx.Tx, e TableErasure, ways []string, l LeftRows) ([]int64, error) {
	rows, _ := tx.Query(ctx, `
		select id
		from kvit.erasure_left l
		where table_name = $1 and id > $2 and (way = $3 or way <> all ($4::text[]))
		  and exists (select from kvit.erasure_certificate c where c.order_ref = l.order_ref and c.verification ? 'left')
		order by id
		limit $5
		for update skip locked`, e.Table, l.After, e.Way(), ways, l.Limit) // Collect reports its error
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("find rows of %s that were left: %w", e.Table, err)
	}
	return ids, nil
}

func sweepRows(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, ids []int64) (map[string]int64, error) {
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return nil, err
	}
	e.Guards = e.everyPath()
	// What looks like a hash is one: the row may have been erased with another order.
	s := eraseStatement{orders: o, erasure: e, refType: refType, args: arguments{[]string{}}, again: "true"}
	text, err := s.sweep(ids)
	if err != nil {
		return nil, err
	}
	rows, _ := tx.Query(ctx, text, s.args...) // Collect reports its error
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[leftRow])
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	var done []int64
	remain := int64(0)
	for _, row := range found {
		if row.Remains {
			remain++
		}
		if row.Erased {
			counts[row.OrderRef]++
		}
		if row.Erased || !row.Open {
			done = append(done, row.ID)
		}
	}
	if remain > 0 {
		return nil, &RemainsError{Table: e.Table, Rows: remain}
	}
	if _, err := tx.Exec(ctx, `delete from kvit.erasure_left where id = any ($1)`, done); err != nil {
		return nil, err
	}
	return counts, nil
}

// sweep erases rows that were left, and tells of each that it looked at what became of it.
func (s *eraseStatement) sweep(ids []int64) (string, error) {
	what, err := s.remaining()
	if err != nil {
		return "", err
	}
	set, err := s.assignments()
	if err != nil {
		return "", err
	}
	var columns, same []string
	for _, k := range s.erasure.Primary {
		columns = append(columns, QuoteColumn(k.Name)+" "+k.Type)
		same = append(same, "t."+QuoteColumn(k.Name)+" = c."+QuoteColumn(k.Name))
	}
	table := QuoteTable(s.erasure.Table)
	remains := "false"
	if !s.erasure.DeleteRows {
		if remains, err = s.remaining(); err != nil {
			return "", err
		}
	}
	erase := `update ` + table + ` t set ` + strings.Join(set, ", ") + ` from candidate c`
	if s.erasure.DeleteRows {
		erase = `delete from ` + table + ` t using candidate c`
	}
	matched := strings.Join(same, " and ") + ` and (` + what + `) and ` + sameRow + ` and ` + s.fits()
	return s.orders.sql(`
		with remembered as materialized (
		    select id, order_ref, row_key, salt, marks from kvit.erasure_left where id = any (` + s.args.add(ids) + `::bigint[])
		), candidate as materialized (
		    select r.id as left_id, r.order_ref as left_by, r.salt as left_salt, r.marks as left_marks, k.*
		    from remembered r, jsonb_to_record(r.row_key) as k (` + strings.Join(columns, ", ") + `)
		), gone as (
		    ` + erase + ` where ` + matched + ` and not ` + s.needed() + ` returning c.left_id, (` + remains + `) as remains
		)
		select r.id, r.order_ref, exists (select from gone g where g.left_id = r.id) as erased,
		       exists (select from gone g where g.left_id = r.id and g.remains) as remains,
		       exists (select from candidate c join ` + table + ` t on ` + matched + ` where c.left_id = r.id) as open
		from remembered r
		order by r.id`), nil
}

// LeftBy tells of a row that was left by which order, and of which table it is.
func LeftBy(ctx context.Context, db DB, id int64) (ref, table string, err error) {
	err = db.QueryRow(ctx, `select order_ref, table_name from kvit.erasure_left where id = $1`, id).Scan(&ref, &table)
	if err != nil {
		return "", "", fmt.Errorf("read a row that was left: %w", err)
	}
	return ref, table, nil
}

// LeftCount counts the rows that stay with other orders, and says since when the first of them does; nil if there
// is none.
func LeftCount(ctx context.Context, db DB) (n int64, oldest *time.Time, err error) {
	if err := db.QueryRow(ctx, `select count(*), min(noted_at) from kvit.erasure_left`).Scan(&n, &oldest); err != nil {
		return 0, nil, fmt.Errorf("count rows that are left: %w", err)
	}
	return n, oldest, nil
}
