package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// TableErasure is what has to be done to the rows of one table that one path leads to. Every column that is
// not named stays.
type TableErasure struct {
	Table      string
	Path       []Link   // how its rows find their order; empty for the orders table itself
	Earlier    [][]Link // paths of the same rows' fate that are done before: a row that they lead to is done
	Guards     [][]Link // paths by which another order may have the row, which then stays until that one goes, too
	Holders    []Holder // rows of no order by which the row stays, too; of DeleteRows alone
	Cut        bool     // once this table and those after it are erased, its rows are not found any more
	DeleteRows bool
	Writes     []Write
	When       string   // of the orders table alone: the condition under which an order's row is written to; empty: always
	Key        *HashKey // for Writes that hash
	// Again: the orders are erased, and what is left by a policy that has changed since goes. Rows that hold nothing of
	// it are left alone, and so is the note that the orders are erased.
	Again bool
	// Primary is the primary key by which rows that stay are remembered; empty: they are not.
	Primary []KeyColumn

	// Keys are, by order reference, what the last link's Key has in the orders that are erased: with them
	// the orders table is not read once more for each table. Nil: it is.
	Keys map[string]string
}

// Link is a step from a row to its order: the row's Column equals Key of a row of Table. The last
// one's Table is the orders table.
type Link struct {
	Column string
	Table  string // "schema.table"
	Key    string
	Type   string // of Key, as Postgres names it without a length
	Fold   bool   // capital letters equal small ones, as in e-mail addresses
	And    []Pair // must be equal, too
	When   string // SQL condition over the row that the step starts from; empty: none
}

// Reads are the tables that its statements look at, but for its own.
func (e TableErasure) Reads() []string {
	var tables []string
	through := func(paths [][]Link) {
		for _, path := range paths {
			for _, l := range path {
				tables = append(tables, l.Table)
			}
		}
	}
	through(append(slices.Clone(e.Guards), e.Path))
	for _, h := range e.Holders {
		tables = append(tables, h.Table)
		through(h.Paths)
	}
	return tables
}

// Holder is a foreign key to the row. If the row went, the key of whoever refers to it would be cut, or they would go
// with it: where no order has them, nothing says that they may.
type Holder struct {
	Table string   // "schema.table"
	Pairs []Pair   // columns of it, and what they equal in the row
	Paths [][]Link // that lead from it to its orders; none: it belongs to none, whatever it refers to
}

// Pair is a column and what it equals in the next table.
type Pair struct {
	Column string
	Key    string
}

// Pairs are all that must be equal.
func (l Link) Pairs() []Pair {
	return append([]Pair{{Column: l.Column, Key: l.Key}}, l.And...)
}

// Equal tells whether two links are the same step, whatever is known of the key's type.
func (l Link) Equal(other Link) bool {
	return l.Column == other.Column && l.Table == other.Table && l.Key == other.Key && l.Fold == other.Fold &&
		l.When == other.When && slices.Equal(l.And, other.And)
}

// Write is what a column is set to.
type Write struct {
	Column   string
	Type     string // the column's base type as Postgres names it
	Strategy string // null, text, hash, truncate_date, generalise or json
	Text     string // of text
	Unit     string // of truncate_date: month or year
	Length   int    // of generalise: the number of characters that stay
	Plan     []byte // of json: a tree of documentNode as JSON
}

// HashKey is a key for HMAC-SHA256 as Postgres needs it: the two pads of RFC 2104, section 2.
type HashKey struct {
	inner, outer []byte
}

// NewHashKey makes the pads of a secret.
func NewHashKey(secret string) *HashKey {
	const innerByte, outerByte = 0x36, 0x5c
	key := make([]byte, sha256.BlockSize)
	if len(secret) > len(key) {
		sum := sha256.Sum256([]byte(secret))
		copy(key, sum[:])
	} else {
		copy(key, secret)
	}
	k := &HashKey{inner: make([]byte, len(key)), outer: make([]byte, len(key))}
	for i, b := range key {
		k.inner[i], k.outer[i] = b^innerByte, b^outerByte
	}
	return k
}

// RemainsError says that a table kept what it should have lost.
type RemainsError struct {
	Table string
	Rows  int64
}

// Error names the table.
func (e *RemainsError) Error() string {
	return fmt.Sprintf("%d rows of %s still hold what was to be erased: a trigger or a rule may keep it", e.Rows, e.Table)
}

// EraseTable does it for the orders of the given references and returns the number of rows by
// reference. In the orders table it also notes that they are erased. Of a table whose rows are not found
// afterwards it looks at what it has written, and returns a *RemainsError if that is not what it should be.
func EraseTable(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, refs []string, now time.Time) (map[string]int64, error) {
	var counts map[string]int64
	var q Queue
	err := q.EraseTable(ctx, tx, o, e, refs, now, func(byRef map[string]int64) { counts = byRef })
	if err != nil {
		return nil, err
	}
	if err := q.Run(ctx, tx); err != nil {
		return nil, err
	}
	return counts, nil
}

// EraseTable queues it; done is called with the number of rows by reference.
func (q *Queue) EraseTable(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, refs []string, now time.Time, done func(map[string]int64)) error {
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return err
	}
	isOrders := len(e.Path) == 0
	if isOrders && o.OwnMarks() && !e.Again {
		o.queueErasedMarks(q, refs, now)
	}
	if isOrders && len(e.Writes) == 0 && (o.OwnMarks() || e.Again) {
		done(map[string]int64{})
		return nil
	}
	statement := eraseStatement{orders: o, erasure: e, refType: refType, args: arguments{refs}}
	if e.Again {
		statement.again = "true"
	}
	text, err := statement.text(now)
	if err != nil {
		return fmt.Errorf("erase %s: %w", e.Table, err)
	}
	q.add("erase "+e.Table, `with gone as (`+text+`)
		select ref, count(*), count(*) filter (where remains) from gone group by ref`, statement.args,
		func(rows pgx.Rows) error {
			counts, err := e.gone(rows, len(refs))
			if err == nil {
				done(counts)
			}
			return err
		})
	return nil
}

// gone reads how many rows went, by reference.
func (e TableErasure) gone(rows pgx.Rows, orders int) (map[string]int64, error) {
	counts := make(map[string]int64, orders)
	var ref string
	var n, remain, remaining int64
	_, err := pgx.ForEachRow(rows, []any{&ref, &n, &remain}, func() error {
		counts[ref] = n
		remaining += remain
		return nil
	})
	if err == nil && remaining > 0 {
		err = &RemainsError{Table: e.Table, Rows: remaining}
	}
	return counts, err
}

// SampleOrder finds an order, not erased yet, that has a row in the table; empty if there is none.
func SampleOrder(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure) (ref string, err error) {
	from, where := `{orders} o`, `true`
	if len(e.Path) > 0 {
		path, condition := reach(e.Path, "p", "o")
		from, where = QuoteTable(e.Table)+` t, `+path, condition
	}
	err = tx.QueryRow(ctx, o.sql(`select o.{ref}::text from `+from+` where `+where+` and {o.erased_at} is null and o.{ref} is not null limit 1`)).Scan(&ref)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("find an order with a row in %s: %w", e.Table, err)
	}
	return ref, nil
}

// eraseStatement builds the statement of one table. In it t is the table, o the orders table.
type eraseStatement struct {
	orders  Orders
	erasure TableErasure
	refType string
	args    arguments // $1 is the references
	again   string    // condition: the row may have been erased before; empty: as its orders tell
}

func (s *eraseStatement) text(now time.Time) (string, error) {
	set, err := s.assignments()
	if err != nil {
		return "", err
	}
	only, err := s.onlyAgain()
	if err != nil {
		return "", err
	}
	if len(s.erasure.Path) == 0 {
		if s.erasure.When != "" && s.orders.OwnMarks() {
			only += " and " + s.written()
		}
		if !s.orders.OwnMarks() && !s.erasure.Again {
			set = append(set, QuoteColumn(s.orders.ErasedAt)+" = "+s.args.add(now)+"::timestamptz")
		}
		return s.orders.sql(`update {orders} t set ` + strings.Join(set, ", ") + ` where t.` + s.refs() + only + ` returning t.{ref}::text as ref, false as remains`), nil
	}
	from, where := s.chosen()
	where += s.unlessDone() + only
	table := QuoteTable(s.erasure.Table)
	if s.erasure.DeleteRows {
		return s.orders.sql(`delete from ` + table + ` t using ` + from + ` where ` + where + ` returning o.{ref}::text as ref, false as remains`), nil
	}
	remains := "false"
	if s.erasure.Cut {
		if remains, err = s.remaining(); err != nil {
			return "", err
		}
	}
	return s.orders.sql(`update ` + table + ` t set ` + strings.Join(set, ", ") + ` from ` + from + `
		where ` + where + ` returning o.{ref}::text as ref, ` + remains + ` as remains`), nil
}

// onlyAgain leaves out rows that hold nothing which should be gone, where orders are erased again.
func (s *eraseStatement) onlyAgain() (string, error) {
	if !s.erasure.Again {
		return "", nil
	}
	what, err := s.remaining()
	return " and (" + what + ")", err
}

// unlessDone leaves out rows that must stay, and those that an earlier path has led to.
func (s *eraseStatement) unlessDone() string {
	where := ""
	if s.erasure.isShared() {
		where += " and not " + s.needed()
	}
	if len(s.erasure.Earlier) > 0 {
		where += " and not " + s.earlier()
	}
	return where
}

// earlier tells whether an earlier path leads from the row t to one of the orders that are erased.
func (s *eraseStatement) earlier() string {
	return s.otherOrder(s.erasure.Earlier, "other."+s.refs())
}

// chosen is what leads from t to the orders that are erased, with the alias "o".
func (s *eraseStatement) chosen() (from, where string) {
	if s.erasure.Keys == nil {
		from, where = reach(s.erasure.Path, "p", "o")
		return from, where + " and o." + s.refs()
	}
	refs, _ := s.args[0].([]string)
	keys := make([]*string, len(refs))
	for i, ref := range refs {
		if key, ok := s.erasure.Keys[ref]; ok {
			keys[i] = &key
		}
	}
	last := s.erasure.Path[len(s.erasure.Path)-1]
	orders := `unnest($1::text[]::` + s.refType + `[], ` + s.args.add(keys) + `::text[]::` + last.Type + `[]) o ({ref}, key)`
	return reachBy("t", s.erasure.Path, "p", orders, func(Pair) string { return "o.key" })
}

// reach is what leads from t to the orders table, which gets the alias order: a list for FROM, and the
// conditions. The tables between get aliases of prefix and a number.
func reach(path []Link, prefix, order string) (from, where string) {
	return reachFrom("t", path, prefix, order)
}

// reachFrom is reach for a row of another alias.
func reachFrom(row string, path []Link, prefix, order string) (from, where string) {
	last := path[len(path)-1]
	return reachBy(row, path, prefix, QuoteTable(last.Table)+" "+order, func(p Pair) string { return order + "." + QuoteColumn(p.Key) })
}

// reachBy is reach for anything that stands for the orders, and their keys.
func reachBy(row string, path []Link, prefix, orders string, key func(Pair) string) (from, where string) {
	var tables, conditions []string
	left := row
	for i, l := range path {
		table, right := orders, key
		alias := fmt.Sprintf("%s%d", prefix, i)
		if i < len(path)-1 {
			table, right = QuoteTable(l.Table)+" "+alias, func(p Pair) string { return alias + "." + QuoteColumn(p.Key) }
		}
		tables = append(tables, table)
		conditions = append(conditions, l.conditions(left, right)...)
		left = alias
	}
	return strings.Join(tables, ", "), strings.Join(conditions, " and ")
}

// conditions are true if the step leads from a row to another; right gives the other's value.
func (l Link) conditions(left string, right func(Pair) string) []string {
	var list []string
	for _, pair := range l.Pairs() {
		list = append(list, l.folded(left+"."+QuoteColumn(pair.Column))+" = "+l.folded(right(pair)))
	}
	if l.When != "" {
		list = append(list, l.when(left))
	}
	return list
}

// when is true of a row for which the step's condition is. It is a query of its own, so that its names mean
// columns of this row alone; its line ends, since the condition may end with a comment.
func (l Link) when(row string) string {
	return `exists (select from (select ` + row + `.*) w where (` + l.When + `
		))`
}

func (l Link) folded(value string) string {
	if l.Fold {
		return "lower(" + value + "::text)"
	}
	return value
}

// otherOrder tells whether one of the paths leads from the row t to an order of which the condition is true;
// there it is "other".
func (s *eraseStatement) otherOrder(paths [][]Link, condition string) string {
	either := make([]string, len(paths))
	for i, path := range paths {
		from, where := reach(path, "q", "other")
		either[i] = `exists (select from ` + from + ` where ` + where + ` and ` + condition + `)`
	}
	return anyOf(either)
}

// refs tells the orders that are erased, behind the alias of the orders table.
func (s *eraseStatement) refs() string {
	return `{ref} = any ($1::text[]::` + s.refType + `[])`
}

// isShared tells whether somebody else than one order may have a row.
func (e TableErasure) isShared() bool { return len(e.Guards)+len(e.Holders) > 0 }

// needed tells whether the row t has an order that is not erased, or somebody else refers to it, so that it must stay.
func (s *eraseStatement) needed() string {
	var either []string
	if len(s.erasure.Guards) > 0 {
		either = append(either, s.otherOrder(s.erasure.Guards, `not (`+s.done()+`) and not coalesce(other.`+s.refs()+`, false)`))
	}
	for _, h := range s.erasure.Holders {
		either = append(either, h.holds(s.erasure.Table))
	}
	if len(either) == 0 {
		return "false"
	}
	return anyOf(either)
}

// holds tells whether a row of no order refers to the row t of a table.
func (h Holder) holds(table string) string {
	var conditions []string
	for _, p := range h.Pairs {
		conditions = append(conditions, "holder."+QuoteColumn(p.Column)+" = t."+QuoteColumn(p.Key))
	}
	if h.Table == table {
		conditions = append(conditions, "(holder.tableoid, holder.ctid) <> (t.tableoid, t.ctid)") // a row that refers to itself
	}
	for _, path := range h.Paths {
		from, where := reachFrom("holder", path, "h", "its_order")
		conditions = append(conditions, "not exists (select from "+from+" where "+where+")")
	}
	return "exists (select from " + QuoteTable(h.Table) + " holder where " + strings.Join(conditions, " and ") + ")"
}

// done is whether the table is erased for the order "other": with the order, or ahead of it.
func (s *eraseStatement) done() string {
	return `{other.erased_at} is not null or exists (
		select from kvit.erasure_progress g
		where g.order_ref = other.{ref}::text and g.tables ? ` + s.args.add(s.erasure.Table) + `::text)`
}

// otherPaths are those by which the row may have been erased a moment ago, for the same orders.
func (e TableErasure) otherPaths() [][]Link {
	return slices.DeleteFunc(slices.Clone(e.Guards), func(path []Link) bool { return slices.EqualFunc(path, e.Path, Link.Equal) })
}

// everyPath are all that lead from a row to an order.
func (e TableErasure) everyPath() [][]Link {
	if len(e.Path) == 0 {
		return nil
	}
	known := func(path []Link) bool { return slices.EqualFunc(path, e.Path, Link.Equal) }
	if slices.ContainsFunc(e.Guards, known) {
		return e.Guards
	}
	return append([][]Link{e.Path}, e.Guards...)
}
