package store

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Orders names the shop's table of orders and the columns that kvit reads and writes, and says when
// orders are due for erasure.
type Orders struct {
	Table          string // "schema.table"
	Ref            string
	PlacedAt       string
	ImportedAt     string
	ERPNumber      string
	ErasedAt       string
	Email          string    // empty: the table has no such column
	CustomerID     string    // empty: the same
	Customer       *Customer // where they stand in another table; nil: they do not
	AwaitingImport string    // SQL predicate over the table's columns: orders the ERP should get

	EraseAfter           time.Duration // since the import
	EraseUnimportedAfter time.Duration // since the order was placed, if the ERP never got it; 0: never
	Clocks               []Clock       // more reasons to erase an order
	AlarmAfter           time.Duration // since the order was placed: the ERP should have it by then; 0: no alarm

	resolved string // the type of Ref; empty: each statement looks it up
}

// QuoteTable quotes "schema.table" as an SQL identifier.
func QuoteTable(name string) string {
	return pgx.Identifier(strings.SplitN(name, ".", 2)).Sanitize()
}

// QuoteColumn quotes a column's name as an SQL identifier.
func QuoteColumn(name string) string {
	return pgx.Identifier{name}.Sanitize()
}

// mark is a placeholder for a mark of an order, behind the alias of the orders table: {o.erased_at}.
var mark = regexp.MustCompile(`\{(\w+)\.(imported_at|erp_number|erased_at)\}`)

// sql fills a statement's {placeholders} with the quoted names of the orders table.
func (o Orders) sql(statement string) string {
	statement = mark.ReplaceAllString(statement, "$1.{$2}")
	return strings.NewReplacer(
		"{orders}", QuoteTable(o.Table),
		"{ref}", QuoteColumn(o.Ref),
		"{placed_at}", QuoteColumn(o.PlacedAt),
		"{imported_at}", QuoteColumn(o.ImportedAt),
		"{erp_number}", QuoteColumn(o.ERPNumber),
		"{erased_at}", QuoteColumn(o.ErasedAt),
		"{awaiting_import}", "("+o.AwaitingImport+")",
		"{due_at}", o.dueAt(),
	).Replace(statement)
}

// Order is where one order of the shop stands.
type Order struct {
	Ref        string
	PlacedAt   *time.Time
	ImportedAt *time.Time
	ERPNumber  *string
	ErasedAt   *time.Time
}

// LockOrders reads orders by reference and locks their rows until the transaction ends.
func LockOrders(ctx context.Context, tx pgx.Tx, o Orders, refs []string) ([]Order, error) {
	refs, cast, err := o.castRefs(ctx, tx, refs)
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	rows, _ := tx.Query(ctx, o.sql(`
		select o.{ref}::text as ref, o.{placed_at}::timestamptz as placed_at, {o.imported_at}::timestamptz as imported_at,
		       {o.erp_number}::text as erp_number, {o.erased_at}::timestamptz as erased_at
		from {orders} o
		where o.{ref} = any ($1::text[]::`+cast+`)
		order by o.{ref}
		for update of o`), refs) // Collect reports its error
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByName[Order])
	if err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	return orders, nil
}

// Mark is the evidence that an order gets: set once and never moved.
type Mark struct {
	Ref        string
	ImportedAt time.Time
	ERPNumber  string // empty: the evidence had none
}

// MarkOrders writes the evidence to orders that have none yet.
func MarkOrders(ctx context.Context, tx pgx.Tx, o Orders, marks []Mark) error {
	refs := make([]string, len(marks))
	times := make([]time.Time, len(marks))
	numbers := make([]string, len(marks))
	for i, m := range marks {
		refs[i], times[i], numbers[i] = m.Ref, m.ImportedAt, m.ERPNumber
	}
	element, err := o.refType(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, o.sql(`
		update {orders} o
		set {imported_at} = m.imported_at, {erp_number} = nullif(m.erp_number, '')
		from unnest($1::text[], $2::timestamptz[], $3::text[]) as m (ref, imported_at, erp_number)
		where o.{ref} = m.ref::`+element+` and {o.imported_at} is null`), refs, times, numbers)
	if err != nil {
		return fmt.Errorf("mark orders: %w", err)
	}
	return nil
}

// refType is the SQL type of the orders table's reference column. Comparing in that type lets
// Postgres use the column's index.
func (o Orders) refType(ctx context.Context, db DB) (string, error) {
	if o.resolved != "" {
		return o.resolved, nil
	}
	var name string
	err := db.QueryRow(ctx, `
		select format_type(a.atttypid, null)
		from pg_attribute a
		where a.attrelid = to_regclass($1) and a.attname = $2 and not a.attisdropped`,
		QuoteTable(o.Table), o.Ref).Scan(&name)
	if err != nil {
		return "", fmt.Errorf("read type of %s.%s: %w", o.Table, o.Ref, err)
	}
	switch name {
	case "character":
		return "bpchar", nil // to Postgres, "character" alone means character(1)
	case "text", "character varying", "smallint", "integer", "bigint", "uuid":
		return name, nil
	default:
		return "", fmt.Errorf("type %s of %s.%s cannot hold an order reference: use text, integer or uuid", name, o.Table, o.Ref)
	}
}

// Resolved knows the type of the reference column, so that the statements of a transaction in which it
// cannot change need not look it up one by one.
func (o Orders) Resolved(ctx context.Context, db DB) (Orders, error) {
	var err error
	o.resolved, err = o.refType(ctx, db)
	return o, err
}

// castRefs leaves out references that the column's type cannot hold: no order has them, and one
// would break the statement for all others. It returns the array type to compare in.
func (o Orders) castRefs(ctx context.Context, db DB, refs []string) (fit []string, arrayType string, err error) {
	name, err := o.refType(ctx, db)
	if err != nil {
		return nil, "", err
	}
	for _, ref := range refs {
		if fitsType(ref, name) {
			fit = append(fit, ref)
		}
	}
	return fit, name + "[]", nil
}

func fitsType(ref, sqlType string) bool {
	bits := map[string]int{"smallint": 16, "integer": 32, "bigint": 64}[sqlType]
	switch {
	case bits > 0:
		n, err := strconv.ParseInt(ref, 10, bits)
		return err == nil && strconv.FormatInt(n, 10) == ref
	case sqlType == "uuid":
		return isUUID(ref)
	default:
		return true
	}
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if dash != (c == '-') || !dash && !hex {
			return false
		}
	}
	return true
}

// SyncOrderStatus makes the view kvit.order_status fit the configured table. It replaces the view
// only if its definition has changed, because that needs an exclusive lock.
func SyncOrderStatus(ctx context.Context, db DB, o Orders) error {
	definition := o.sql(`
		select o.{ref}::text as order_ref, o.{placed_at}::timestamptz as placed_at,
		       {o.imported_at}::timestamptz as erp_imported_at, {o.erp_number}::text as erp_order_number,
		       {due_at} as erase_due_at,
		       exists (select from kvit.legal_hold h
		               where h.order_ref = o.{ref}::text and (h.expires_at is null or h.expires_at > now())) as held,
		       {o.erased_at}::timestamptz as erased_at
		from {orders} o`)
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtext('kvit.order_status'))`); err != nil {
			return err
		}
		var same bool
		err := tx.QueryRow(ctx, `
			select coalesce(obj_description(to_regclass('kvit.order_status'), 'pg_class') = md5($1), false)`, definition).Scan(&same)
		if err != nil || same {
			return err
		}
		_, err = tx.Exec(ctx, `drop view if exists kvit.order_status`)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `create view kvit.order_status as `+definition)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `grant select on kvit.order_status to kvit_ops`)
		if err != nil {
			return err
		}
		var sum string
		if err := tx.QueryRow(ctx, `select md5($1)`, definition).Scan(&sum); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `comment on view kvit.order_status is '`+sum+`'`)
		return err
	})
	if err != nil {
		return fmt.Errorf("sync view kvit.order_status: %w", err)
	}
	return nil
}
