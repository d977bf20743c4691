package sqldb

import (
	"database/sql"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvit/config"
	"kvit/erp"
)

// columnNames are what a statement may return. Any other is refused, so that "select *" does not bring names and addresses.
var columnNames = []string{"kind", "ref", "number", "order_number", "created_at", "changed_at", "line_count", "total"}

// documentKinds are the values of the column kind.
var documentKinds = []string{erp.OrderDocument, erp.InvoiceDocument, erp.ShipmentDocument, erp.QuoteDocument, erp.CreditMemoDocument}

// longestText is of a column, in bytes. No reference and no number is as long.
const longestText = 500

// reading is how rows are understood.
type reading struct {
	most       int  // rows
	changes    bool // each row has its time of change
	zone       *time.Location
	resolution time.Duration
	dialect    dialect
}

// reader makes documents of the rows of one result.
type reader struct {
	reading
	columns []string
	zoned   map[string]bool // columns of times that tell their zone
	days    map[string]bool // columns of days
	values  []any
}

func (how reading) of(rows *sql.Rows) (*reader, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	r := &reader{reading: how, zoned: map[string]bool{}, days: map[string]bool{}, values: make([]any, len(types))}
	for i, t := range types {
		name := strings.ToLower(t.Name())
		if !slices.Contains(columnNames, name) {
			return nil, erp.Fail(erp.Misconfigured, "column %d that the statement returns has no name that is known: %s", i+1, config.JoinOr(columnNames))
		}
		if slices.Contains(r.columns, name) {
			return nil, erp.Fail(erp.Misconfigured, "the statement returns the column %s twice", name)
		}
		r.columns = append(r.columns, name)
		r.zoned[name] = slices.Contains([]string{"TIMESTAMPTZ", "DATETIMEOFFSET"}, t.DatabaseTypeName()) || !how.dialect.converts && t.DatabaseTypeName() == "TIMESTAMP"
		r.days[name] = t.DatabaseTypeName() == "DATE"
	}
	return r, r.check()
}

// check refuses what would be read without an error, and wrongly.
func (r *reader) check() error {
	switch {
	case !slices.Contains(r.columns, "ref"):
		return erp.Fail(erp.Misconfigured, "the statement returns no column ref")
	case r.changes && !slices.Contains(r.columns, "changed_at"):
		return erp.Fail(erp.Misconfigured, "changes returns no column changed_at")
	case r.changes && !r.zoned["changed_at"] && r.zone == nil:
		return erp.Fail(erp.Misconfigured, "changed_at tells no time zone: time_zone must name it")
	case r.changes && r.zoned["changed_at"] && !r.dialect.converts && r.zone != nil && r.zone != time.UTC:
		return erp.Fail(erp.Misconfigured, "changed_at tells its time zone, so time_zone must be left out")
	case r.days["changed_at"] && r.changes && r.resolution < 24*time.Hour:
		return erp.Fail(erp.Misconfigured, "changed_at is a day, so resolution must be 1d")
	}
	return nil
}

func (r *reader) document(rows *sql.Rows) (erp.Document, error) {
	targets := make([]any, len(r.values))
	for i := range r.values {
		targets[i] = &r.values[i]
	}
	if err := rows.Scan(targets...); err != nil {
		return erp.Document{}, err
	}
	doc := erp.Document{Kind: erp.OrderDocument}
	for i, name := range r.columns {
		if err := r.set(&doc, name, r.values[i]); err != nil {
			return erp.Document{}, err
		}
	}
	if r.changes && doc.ChangedAt.IsZero() {
		return erp.Document{}, erp.Fail(erp.Malformed, "a row of changes has no changed_at")
	}
	return doc, nil
}

// set takes one value. Its errors name the column, never the value.
func (r *reader) set(doc *erp.Document, column string, value any) error {
	if value == nil {
		if column == "kind" {
			doc.Kind = ""
		}
		return r.setKind(doc, column)
	}
	if column == "created_at" || column == "changed_at" {
		return r.setTime(doc, column, value)
	}
	t, ok := text(value)
	if !ok {
		return erp.Fail(erp.Misconfigured, "the column %s is of a type that kvit does not read as text: cast it", column)
	}
	switch column {
	case "kind":
		doc.Kind = t
		return r.setKind(doc, column)
	case "ref":
		doc.Ref = t
	case "number":
		doc.Number = t
	case "order_number":
		doc.OrderNumber = t
	case "line_count":
		n, err := strconv.Atoi(strings.TrimSpace(t))
		if err != nil || n < 0 {
			return erp.Fail(erp.Misconfigured, "the column line_count is no count")
		}
		doc.Lines = n
	case "total":
		if !decimal.MatchString(t) {
			return erp.Fail(erp.Misconfigured, "the column total is no decimal number")
		}
		doc.Total = t
	}
	return nil
}

var decimal = regexp.MustCompile(`^-?[0-9]{1,30}(\.[0-9]{1,30})?$`)

func (r *reader) setKind(doc *erp.Document, column string) error {
	if column == "kind" && !slices.Contains(documentKinds, doc.Kind) {
		return erp.Fail(erp.Misconfigured, "the column kind is none of %s", config.JoinOr(documentKinds))
	}
	return nil
}

func (r *reader) setTime(doc *erp.Document, column string, value any) error {
	t, ok := value.(time.Time)
	if word, isText := value.(string); isText && strings.HasSuffix(word, "infinity") {
		return nil // as Postgres has it, for never
	}
	if !ok {
		return erp.Fail(erp.Misconfigured, "the column %s is of a type that is no time", column)
	}
	if t.IsZero() || t.Year() < 1900 || t.Year() > 9000 {
		return nil // 0000-00-00, infinity, and what systems write for never
	}
	certain := r.zoned[column] || r.zone != nil
	if !r.zoned[column] {
		t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), in(t, r.zone).Location())
	}
	switch {
	case column == "changed_at":
		doc.ChangedAt = t
	case certain && !r.days[column] && r.resolution < 24*time.Hour:
		doc.CreatedAt = &t
	}
	return nil
}

// text is a value as text, without what no text column of Postgres takes; false if it is of a type that has no
// obvious one. What is too long to be a reference or a number is none.
func text(value any) (string, bool) {
	var t string
	switch v := value.(type) {
	case string:
		t = v
	case []byte:
		t = string(v)
	case int64:
		t = strconv.FormatInt(v, 10)
	case int32:
		t = strconv.FormatInt(int64(v), 10)
	case uint64:
		t = strconv.FormatUint(v, 10)
	case float64:
		t = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return "", false
	}
	if len(t) > longestText {
		return "", true
	}
	return strings.ReplaceAll(strings.ToValidUTF8(t, "\uFFFD"), "\x00", ""), true
}
