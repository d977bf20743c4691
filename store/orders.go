package store

import (
	"context"
	"errors"
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
	ImportedAt     string // empty, as the next two: kvit keeps these marks itself, in kvit.order_mark
	ERPNumber      string
	ErasedAt       string
	Email          string    // empty: the table has no such column
	CustomerID     string    // empty: the same
	Customer       *Customer // where they stand in another table; nil: they do not
	Total          string    // what it costs, with tax; empty: the same
	Lines          *Lines    // where its lines are; nil: not known
	AwaitingImport string    // SQL predicate over the table's columns: orders the ERP should get
	TimeZone       string    // of times without one, as Options.TimeZone; empty: the table must not have such

	EraseAfter           time.Duration // since the import
	EraseUnimportedAfter time.Duration // since the order was placed, if the ERP never got it; 0: never
	Clocks               []Clock       // more reasons to erase an order
	AlarmAfter           time.Duration // since the order was placed: the ERP should have it by then; 0: no alarm

	resolved orderShape // its refType is empty: each statement looks it up
}

// QuoteTable quotes "schema.table" as an SQL identifier.
func QuoteTable(name string) string {
	return pgx.Identifier(strings.SplitN(name, ".", 2)).Sanitize()
}

// QuoteColumn quotes a column's name as an SQL identifier.
func QuoteColumn(name string) string {
	return pgx.Identifier{name}.Sanitize()
}

// markName is a placeholder for a mark of an order, behind the alias of the orders table: {o.erased_at}.
var markName = regexp.MustCompile(`\{(\w+)\.(imported_at|erp_number|erased_at)\}`)

// sql fills a statement's {placeholders} with the quoted names of the orders table.
func (o Orders) sql(statement string) string {
	statement = markName.ReplaceAllStringFunc(statement, func(name string) string {
		alias, column, _ := strings.Cut(name[1:len(name)-1], ".")
		return o.mark(alias, column)
	})
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

// LockOrders reads orders by reference and locks their rows until the transaction ends. Of a process of which nothing is heard for
// 10 seconds the server ends it.
func LockOrders(ctx context.Context, tx pgx.Tx, o Orders, refs []string) ([]Order, error) {
	shape, err := o.shape(ctx, tx)
	if err != nil {
		return nil, err
	}
	refs = shape.fitting(refs)
	if len(refs) == 0 {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, endIdle); err != nil {
		return nil, fmt.Errorf("limit idling: %w", err)
	}
	if err := o.noticeNamed(ctx, tx, refs, shape.refType); err != nil {
		return nil, err
	}
	if err := o.lockMarks(ctx, tx, refs); err != nil {
		return nil, err
	}
	rows, _ := tx.Query(ctx, o.sql(`
		select o.{ref}::text as ref, o.{placed_at}::timestamptz as placed_at, {o.imported_at}::timestamptz as imported_at,
		       {o.erp_number}::text as erp_number, {o.erased_at}::timestamptz as erased_at
		from {orders} o
		where o.{ref} = any ($1::text[]::`+shape.refType+`[])
		order by o.{ref}
		`+shape.lock("")), refs) // Collect reports its error
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByName[Order])
	if err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	return orders, nil
}

// Mark is the evidence that an order gets: each half is set once and never moved.
type Mark struct {
	Ref        string
	ImportedAt time.Time // zero: the order has it
	ERPNumber  string    // empty: the evidence had none
}

// MarkOrders writes the evidence to orders that lack it.
func MarkOrders(ctx context.Context, tx pgx.Tx, o Orders, marks []Mark) error {
	refs := make([]string, len(marks))
	times := make([]*time.Time, len(marks))
	numbers := make([]string, len(marks))
	for i, m := range marks {
		refs[i], numbers[i] = m.Ref, m.ERPNumber
		if !m.ImportedAt.IsZero() {
			times[i] = new(m.ImportedAt)
		}
	}
	if o.OwnMarks() {
		return markOwn(ctx, tx, refs, times, numbers)
	}
	element, err := o.refType(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, o.sql(`
		update {orders} o
		set {imported_at} = coalesce({o.imported_at}, m.imported_at), {erp_number} = coalesce({o.erp_number}, nullif(m.erp_number, ''))
		from unnest($1::text[], $2::timestamptz[], $3::text[]) as m (ref, imported_at, erp_number)
		where o.{ref} = m.ref::`+element+` and ({o.imported_at} is null and m.imported_at is not null or {o.erp_number} is null and m.erp_number <> '')`),
		refs, times, numbers)
	if err != nil {
		return fmt.Errorf("mark orders: %w", err)
	}
	return nil
}

// orderShape is what the catalog says of the orders table.
type orderShape struct {
	refType  string // the SQL type of the reference; comparing in it lets Postgres use the column's index
	lockable bool   // its rows can be locked: it is no view, and kvit may write one of its columns
	unique   bool   // no two rows have the same reference
}

// MisfitError says that the shop's orders table is not what the configuration says. It holds no values.
type MisfitError struct{ Problem string }

// Error names the table or column.
func (e *MisfitError) Error() string { return e.Problem }

func (o Orders) shape(ctx context.Context, db DB) (orderShape, error) {
	if o.resolved.refType != "" {
		return o.resolved, nil
	}
	var s orderShape
	err := db.QueryRow(ctx, `
		select format_type(a.atttypid, null),
		       c.relkind in ('r', 'p') and (not $3 or has_any_column_privilege(c.oid, 'update')),
		       exists (
		           select from pg_index i
		           where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
		             and i.indnkeyatts = 1 and i.indkey[0] = a.attnum)
		from pg_class c
		join pg_attribute a on a.attrelid = c.oid and a.attname = $2 and a.attnum > 0 and not a.attisdropped
		where c.oid = to_regclass($1)`,
		QuoteTable(o.Table), o.Ref, o.OwnMarks()).Scan(&s.refType, &s.lockable, &s.unique)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, &MisfitError{Problem: fmt.Sprintf("the orders table %s, or its column %s, does not exist", o.Table, o.Ref)}
	}
	if err != nil {
		return s, fmt.Errorf("read type of %s.%s: %w", o.Table, o.Ref, err)
	}
	switch s.refType {
	case "character":
		s.refType = "bpchar" // to Postgres, "character" alone means character(1)
		return s, nil
	case "text", "character varying", "smallint", "integer", "bigint", "uuid":
		return s, nil
	default:
		return s, &MisfitError{Problem: fmt.Sprintf("type %s of %s.%s cannot hold an order reference: use text, integer or uuid", s.refType, o.Table, o.Ref)}
	}
}

// lock is the clause that locks the rows of "o"; empty where they cannot be locked.
func (s orderShape) lock(otherwise string) string {
	if !s.lockable {
		return ""
	}
	return "for update of o " + otherwise
}

// alone is true of an order whose reference no other row has. Where no index sees to that, an order that is not
// due could be erased in the name of one that is.
func (s orderShape) alone() string {
	if s.unique {
		return "true"
	}
	return "(select count(*) from (select from {orders} twin where twin.{ref} = o.{ref} limit 2) twins) = 1"
}

// refType is the SQL type of the orders table's reference column.
func (o Orders) refType(ctx context.Context, db DB) (string, error) {
	s, err := o.shape(ctx, db)
	return s.refType, err
}

// Resolved knows what the catalog says of the orders table, so that the statements of a transaction in which that
// cannot change need not look it up one by one.
func (o Orders) Resolved(ctx context.Context, db DB) (Orders, error) {
	var err error
	o.resolved, err = o.shape(ctx, db)
	return o, err
}

// castRefs leaves out references that the column's type cannot hold: no order has them, and one
// would break the statement for all others. It returns the array type to compare in.
func (o Orders) castRefs(ctx context.Context, db DB, refs []string) (fit []string, arrayType string, err error) {
	s, err := o.shape(ctx, db)
	if err != nil {
		return nil, "", err
	}
	return s.fitting(refs), s.refType + "[]", nil
}

func (s orderShape) fitting(refs []string) (fit []string) {
	for _, ref := range refs {
		if fitsType(ref, s.refType) {
			fit = append(fit, ref)
		}
	}
	return fit
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
