package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SearchPlace is a table or materialized view that can be searched for values.
type SearchPlace struct {
	Table   string         // "schema.table"
	Columns []SearchColumn // those that can hold text
	Bytes   int64          // on disk when it was last analysed, without indexes and long values
	View    bool           // materialized: it holds what was there when it was last refreshed

	only    bool     // tables that inherit from it are places of their own
	key     string   // a primary key of one number or UUID; empty: there is none
	primary []string // the primary key, whatever its types; nil: there is none, or it may not be read
}

// SearchColumn is a column that can hold text, whatever its type.
type SearchColumn struct {
	Name  string
	bytea bool
}

// Unsearched is what nobody has looked at, and why.
type Unsearched struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns,omitempty"` // none: the table as a whole
	Reason  string   `json:"reason"`
}

// String is one line.
func (u Unsearched) String() string {
	if len(u.Columns) > 0 {
		return u.Table + " (" + strings.Join(u.Columns, ", ") + "): " + u.Reason
	}
	return u.Table + ": " + u.Reason
}

// Why something was not searched.
const (
	NoRight    = "this role may not read it"
	HiddenRows = "row security may hide rows from this role"
	Elsewhere  = "its rows are on another server"
	TimeOver   = "time over"
	Locked     = "another transaction had it locked"
	TooLong    = "it holds binary values of more than 1 MB"
)

// searchRow is a relation of the catalog.
type searchRow struct {
	Table    string
	Kind     string
	Bytes    int64
	Hidden   bool
	MayEnter bool
	Names    []string
	Bytea    []bool
	Readable []bool
	KeyName  *string
	Primary  []string
}

// SearchPlaces lists where a text may stand in the database, the smallest first: kvit's own tables are among
// them. barred is what this role may not read, as far as it could hold a text. Views hold nothing of their own.
func SearchPlaces(ctx context.Context, db DB) (places []SearchPlace, barred []Unsearched, err error) {
	// The catalog's own numbers: to measure a table, Postgres would wait for whoever has it locked.
	rows, _ := db.Query(ctx, `
		select format('%s.%s', n.nspname, c.relname) as table, c.relkind::text as kind, size.bytes, row_security_active(c.oid) as hidden,
		       has_schema_privilege(n.oid, 'usage') as may_enter, col.names, col.bytea, col.readable, key.name as key_name, pk.names as primary
		from pg_class c
		join pg_namespace n on n.oid = c.relnamespace
		cross join lateral (
		    select array_agg(a.attname::text order by a.attnum) as names,
		           array_agg(base.oid = 'bytea'::regtype order by a.attnum) as bytea,
		           array_agg(has_column_privilege(c.oid, a.attnum, 'select') order by a.attnum) as readable
		    from pg_attribute a
		    join pg_type t on t.oid = a.atttypid
		    join pg_type base on base.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
		    left join pg_type item on item.oid = base.typelem and base.typcategory = 'A'
		    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		      and (base.typcategory in ('S', 'C') or item.typcategory in ('S', 'C', 'U')
		           or base.typname in ('json', 'jsonb', 'xml', 'hstore', 'tsvector', 'bytea'))
		) col
		cross join lateral (
		    with recursive part (oid) as (
		        select c.oid
		        union all
		        select i.inhrelid from part join pg_inherits i on i.inhparent = part.oid where c.relkind = 'p'
		    )
		    select coalesce(sum(greatest(p.relpages, 0)), 0)::bigint * 8192 as bytes from part join pg_class p on p.oid = part.oid
		) size
		left join lateral (
		    select a.attname::text as name
		    from pg_index i
		    join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
		    where i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1
		      and a.atttypid in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'uuid'::regtype)
		      and has_column_privilege(c.oid, a.attnum, 'select')
		) key on true
		cross join lateral (
		    select case when bool_and(has_column_privilege(c.oid, a.attnum, 'select')) then array_agg(a.attname::text order by a.attnum) end as names
		    from pg_index i
		    join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
		    where i.indrelid = c.oid and i.indisprimary
		) pk
		where c.relkind in ('r', 'p', 'm', 'f') and not c.relispartition and c.relpersistence <> 't'
		  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and col.names is not null
		order by size.bytes, 1`) // Collect reports its error
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[searchRow])
	if err != nil {
		return nil, nil, fmt.Errorf("find places to search: %w", err)
	}
	if barred, err = largeObjects(ctx, db); err != nil {
		return nil, nil, err
	}
	for _, r := range found {
		place, not := r.place()
		if len(place.Columns) > 0 {
			places = append(places, place)
		}
		if not != nil {
			barred = append(barred, *not)
		}
	}
	return places, barred, nil
}

// largeObjects are files inside of the database, which no table's rights are about.
func largeObjects(ctx context.Context, db DB) ([]Unsearched, error) {
	var some bool
	if err := db.QueryRow(ctx, `select exists (select from pg_largeobject_metadata)`).Scan(&some); err != nil {
		return nil, fmt.Errorf("look for large objects: %w", err)
	}
	if !some {
		return nil, nil
	}
	return []Unsearched{{Table: "pg_catalog.pg_largeobject", Reason: NoRight}}, nil
}

// place is what can be searched, and what cannot.
func (r searchRow) place() (SearchPlace, *Unsearched) {
	place := SearchPlace{Table: r.Table, Bytes: r.Bytes, View: r.Kind == "m", only: r.Kind == "r"}
	switch {
	case r.Kind == "f":
		return place, &Unsearched{Table: r.Table, Reason: Elsewhere}
	case !r.MayEnter:
		return place, &Unsearched{Table: r.Table, Reason: NoRight}
	}
	if r.KeyName != nil {
		place.key = *r.KeyName
	}
	place.primary = r.Primary
	var closed []string
	for i, name := range r.Names {
		if r.Readable[i] {
			place.Columns = append(place.Columns, SearchColumn{Name: name, bytea: r.Bytea[i]})
		} else {
			closed = append(closed, name)
		}
	}
	switch {
	case len(place.Columns) == 0:
		return place, &Unsearched{Table: r.Table, Reason: NoRight}
	case r.Hidden: // what can be seen is searched all the same
		return place, &Unsearched{Table: r.Table, Reason: HiddenRows}
	case len(closed) > 0:
		return place, &Unsearched{Table: r.Table, Columns: closed, Reason: NoRight}
	}
	return place, nil
}

// SearchValue is a text to look for. It never leaves the memory but as a parameter.
type SearchValue struct {
	Owner int      // whose it is: an index of the caller's
	Forms []string // ways to write it, none of them empty; capital letters equal small ones
	Weak  bool     // tells of its owner only in a row with a second value of the same owner
}

// SearchScope says which rows are meant to have the values.
type SearchScope struct {
	Orders   *Orders        // nil: no row belongs to an order
	Erasures []TableErasure // of this table; none: the policy erases nothing in it
	Refs     []string       // orders whose values must be gone; not nil
	Spared   []string       // rows that SparedRows has found
}

// SearchHit counts rows in which values of one owner stand.
type SearchHit struct {
	Column string
	Owner  int
	Held   bool // the rows belong to orders, or are events, that are not erased
	Rows   int64
	Keys   []string // of the rows, 1,000 at most, if the table has a primary key of one number or UUID
}

// UnsearchedError is the error of a place that could not be searched; Reason holds no value.
type UnsearchedError struct{ Reason string }

// Error is the reason.
func (e *UnsearchedError) Error() string { return "not searched: " + e.Reason }

// SearchValues looks for values in a place: one pass over it for all of them. It takes no longer than within, and
// returns *UnsearchedError if that, or something about the place, kept it from the end.
func SearchValues(ctx context.Context, db DB, place SearchPlace, values []SearchValue, scope SearchScope, within time.Duration) ([]SearchHit, error) {
	if len(values) == 0 {
		return nil, nil
	}
	if within < time.Millisecond {
		return nil, &UnsearchedError{TimeOver}
	}
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin search: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing was written; it also takes the settings back
	hits, err := search(ctx, tx, place, values, scope, within)
	return hits, searchError(err)
}

func search(ctx context.Context, tx pgx.Tx, place SearchPlace, values []SearchValue, scope SearchScope, within time.Duration) ([]SearchHit, error) {
	// The shop comes first: no further processes, and no long wait for its locks. What is compiled for a
	// statement that runs once is lost.
	limit := strconv.FormatInt(within.Milliseconds(), 10)
	_, err := tx.Exec(ctx, `select set_config('statement_timeout', $1, true), set_config('lock_timeout', least($1::integer, 2000)::text, true),
		set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)`, limit)
	if err != nil {
		return nil, fmt.Errorf("limit search: %w", err)
	}
	statement, args, err := searchStatement(ctx, tx, place, values, scope)
	if err != nil {
		return nil, err
	}
	rows, _ := tx.Query(ctx, statement, args...) // ForEachRow reports its error
	var hits []SearchHit
	var hit SearchHit
	var column int
	_, err = pgx.ForEachRow(rows, []any{&column, &hit.Owner, &hit.Held, &hit.Rows, &hit.Keys}, func() error {
		hit.Column = place.Columns[column-1].Name
		hits = append(hits, hit)
		hit.Keys = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", place.Table, err)
	}
	return hits, place.tooLong(ctx, tx)
}

// searchError leaves a place that cannot be searched apart from a database that does not answer.
func searchError(err error) error {
	var pgErr *pgconn.PgError
	if err == nil || !errors.As(err, &pgErr) {
		return err
	}
	switch {
	case pgErr.Code == "57014": // the statement took too long
		return &UnsearchedError{TimeOver}
	case pgErr.Code == "55P03":
		return &UnsearchedError{Locked}
	case pgErr.Code == "42501":
		return &UnsearchedError{NoRight}
	case pgErr.Code == "55000":
		return nil // a materialized view that was never filled has no rows
	case IsConnection(err):
		return err
	}
	return &UnsearchedError{Describe(err)}
}

// longest is how many bytes of a binary value are read: a picture is no place for a name.
const longest = 1_000_000

// tooLong says that binary values were passed over. It reads their lengths alone.
func (p SearchPlace) tooLong(ctx context.Context, tx pgx.Tx) error {
	for _, c := range p.Columns {
		if !c.bytea {
			continue
		}
		var long bool
		err := tx.QueryRow(ctx, fmt.Sprintf(`select exists (select from %s t where octet_length(t.%s) > %d)`, p.from(), QuoteColumn(c.Name), longest)).Scan(&long)
		if err != nil {
			return fmt.Errorf("measure %s.%s: %w", p.Table, c.Name, err)
		}
		if long {
			return &UnsearchedError{TooLong}
		}
	}
	return nil
}

func (p SearchPlace) from() string {
	if p.only {
		return "only " + QuoteTable(p.Table)
	}
	return QuoteTable(p.Table)
}

// text is the column as a text. Its own collation may not know how to search, and two of a row may not go
// together: the database's does.
func (c SearchColumn) text() string {
	column := "t." + QuoteColumn(c.Name)
	if c.bytea {
		column = fmt.Sprintf(`case when octet_length(%s) <= %d then encode(%s, 'escape') end`, column, longest, column)
	}
	return "(" + column + `)::text collate "default"`
}

// searchStatement reads a row as one text and compares it with all values at once, column by column only
// where one of them is in it.
//
// Measured on 100,000 rows of seven columns and 220 characters with 48 values (seconds, on a busy machine, of
// which 0.8 are for putting the rows together and as much again for small letters): strpos joined by "or" 3.7,
// strpos over unnest 5.3, like joined by "or" 8.8, a regular expression of all of them 9 (17 with a second way to
// write some letters), like any 17. The collation "C" saves nothing but a look at it for each value.
func searchStatement(ctx context.Context, tx pgx.Tx, place SearchPlace, values []SearchValue, scope SearchScope) (string, arguments, error) {
	args, held, err := scope.held(ctx, tx, place.Table)
	if err != nil {
		return "", nil, err
	}
	if len(scope.Spared) > 0 && len(place.primary) > 0 {
		held = "(" + held + " or " + identity(place.primary) + " = any (" + args.add(scope.Spared) + "::text[]))"
	}
	texts := make([]string, len(place.Columns))
	for i, c := range place.Columns {
		texts[i] = c.text()
	}
	key := "null"
	if place.key != "" {
		key = "t." + QuoteColumn(place.key)
	}
	where := searchCondition(values, &args)
	if where == "" {
		where = "false"
	}
	var forms []string
	var owners, numbers []int
	var weak []bool
	for i, v := range values {
		for _, form := range v.Forms {
			forms, owners, numbers, weak = append(forms, form), append(owners, v.Owner), append(numbers, i), append(weak, v.Weak)
		}
	}
	cells := strings.Join(texts, ", ")
	return `
		with found as materialized (
		    select row_number() over () as id, ` + key + `::text as key, ` + held + ` as held, array[` + cells + `] as cells
		    from ` + place.from() + ` t
		    cross join lateral (select lower(concat_ws(chr(1), ` + cells + `)) collate "C" as line offset 0) l
		    where ` + where + `
		), matched as (
		    select f.id, f.key, f.held, c.place, v.owner, v.number, v.weak
		    from found f
		    cross join unnest(f.cells) with ordinality c (content, place)
		    join unnest(` + args.add(forms) + `::text[], ` + args.add(owners) + `::integer[], ` + args.add(numbers) + `::integer[], ` + args.add(weak) + `::boolean[])
		         v (form, owner, number, weak) on strpos(lower(c.content collate "default") collate "C", lower(v.form)) > 0
		), telling as (
		    select id, owner from matched group by id, owner having bool_or(not weak) or count(distinct number) > 1
		)
		select m.place, m.owner, m.held, count(distinct m.id), (array_agg(distinct m.key) filter (where m.key is not null))[1:1000]
		from matched m
		join telling using (id, owner)
		group by m.place, m.owner, m.held`, args, nil
}

// searchCondition is true of the text "l.line" if it is worth a closer look.
func searchCondition(values []SearchValue, args *arguments) string {
	var conditions []string
	weak := map[int][]string{} // by owner
	for _, v := range values {
		if v.Weak && lonely(values, v.Owner) {
			continue
		}
		condition := v.condition(args)
		if !v.Weak {
			conditions = append(conditions, condition)
			continue
		}
		for _, other := range weak[v.Owner] {
			conditions = append(conditions, "("+other+") and ("+condition+")")
		}
		weak[v.Owner] = append(weak[v.Owner], condition)
	}
	return strings.Join(conditions, " or ")
}

// condition is true of the text "l.line" if it has the value in one of its forms.
func (v SearchValue) condition(args *arguments) string {
	has := make([]string, len(v.Forms))
	for i, form := range v.Forms {
		has[i] = `strpos(l.line, lower(` + args.add(form) + `::text)) > 0`
	}
	return strings.Join(has, " or ")
}

// lonely tells whether an owner has no two weak values.
func lonely(values []SearchValue, owner int) bool {
	n := 0
	for _, v := range values {
		if v.Weak && v.Owner == owner {
			n++
		}
	}
	return n < 2
}

// held is a condition over the row t: it belongs to something that is not erased.
func (s SearchScope) held(ctx context.Context, tx pgx.Tx, table string) (arguments, string, error) {
	args := arguments{s.Refs}
	if table == "kvit.event" {
		// An event without an order goes by a time of its own.
		return args, `t.erased_at is null and not coalesce(t.order_ref in (select kvit.order_ref(o.ref) from unnest($1::text[]) o (ref)), false)`, nil
	}
	if s.Orders == nil || len(s.Erasures) == 0 {
		return args, `$1::text[] is null`, nil
	}
	refType, err := s.Orders.refType(ctx, tx)
	if err != nil {
		return nil, "", err
	}
	var ways []string
	for _, e := range s.Erasures {
		e.Guards = e.everyPath()
		statement := eraseStatement{orders: *s.Orders, erasure: e, refType: refType, args: args}
		if statement.ofOrders() {
			ways = append(ways, s.Orders.sql(`{t.erased_at} is null and not coalesce(t.`+statement.refs()+`, false)`), "not "+statement.written())
		} else {
			ways = append(ways, s.Orders.sql(statement.needed()), s.Orders.sql(statement.spared()))
		}
		args = statement.args
	}
	return args, "(" + strings.Join(ways, " or ") + ")", nil
}

// spared tells whether the policy means the row t to stay although an order leads to it: by a condition, as that of a
// customer who has an account.
func (s *eraseStatement) spared() string {
	path := slices.Clone(s.erasure.Path)
	conditional := false
	for i, l := range path {
		conditional = conditional || l.When != ""
		path[i].When = ""
	}
	if !conditional {
		return "false"
	}
	return s.otherOrder([][]Link{path}, "true") + " and not " + s.otherOrder([][]Link{s.erasure.Path}, "true")
}

// ofOrders tells whether the table is the orders table itself.
func (s *eraseStatement) ofOrders() bool { return len(s.erasure.Path) == 0 }
