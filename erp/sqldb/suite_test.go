package sqldb_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/erp"
	"kvit/erp/erptest"
	"kvit/erp/sqldb"
	"kvit/store/storetest"
)

func TestMain(m *testing.M) { storetest.Run(m) }

// ledger is an ERP's database as small as can be: orders that go when they are invoiced, invoices, and a company.
type ledger struct {
	t    *testing.T
	db   *sql.DB
	mark func(n int) string
	text string // the type of a text column
	at   string // the type of a time
}

func (l *ledger) exec(statement string, args ...any) {
	l.t.Helper()
	for i := range args {
		statement = strings.Replace(statement, "?", l.mark(i+1), 1)
	}
	_, err := l.db.ExecContext(context.Background(), statement, args...)
	require.NoError(l.t, err)
}

func (l *ledger) create() {
	l.exec(`create table company (name ` + l.text + `)`)
	l.exec(`insert into company values ('Example ApS')`)
	columns := fmt.Sprintf(`(kind %[1]s, ref %[1]s, number %[1]s, order_number %[1]s, created_at %[2]s, changed_at %[2]s, line_count int, total decimal(12,2))`, l.text, l.at)
	l.exec(`create table sale ` + columns)
	l.exec(`create table invoice ` + columns)
}

const (
	columns = `kind, ref, number, order_number, created_at, changed_at, line_count, total`
	folded  = `upper(trim(ref)) in ({folded_refs})`
	lookup  = `select ` + columns + ` from sale where ` + folded + ` union all select ` + columns + ` from invoice where ` + folded
	changes = `select * from (select ` + columns + ` from sale union all select ` + columns + ` from invoice) as d where changed_at >= {since} order by changed_at`
	probe   = `select name from company`
)

func (l *ledger) Put(docs ...erp.Document) {
	for _, d := range docs {
		table := "invoice"
		if d.Kind == erp.OrderDocument || d.Kind == erp.QuoteDocument {
			table = "sale"
		}
		if d.ChangedAt.IsZero() {
			d.ChangedAt = time.Now().UTC()
		}
		var ref, total any
		if d.Ref != "" {
			ref = d.Ref
		}
		if d.Total != "" {
			total = d.Total
		}
		l.exec(`insert into `+table+` values (?, ?, ?, ?, ?, ?, ?, ?)`, d.Kind, ref, d.Number, d.OrderNumber, d.CreatedAt, d.ChangedAt, d.Lines, total)
	}
}

func (l *ledger) Remove(number string) { l.exec(`delete from sale where number = ?`, number) }

// Deviate knows of another company alone: a database does not ignore conditions.
func (l *ledger) Deviate(d erptest.Deviation) {
	if d == erptest.OtherCompany {
		l.exec(`delete from sale`)
		l.exec(`update company set name = 'Sommer ApS'`)
	}
}

func (*ledger) Fail(int, int, int, http.Header) { panic("a database has no HTTP statuses") }
func (*ledger) Page(int)                        { panic("a database has no pages") }
func (*ledger) Requests() int                   { panic("a database counts no requests") }

// usual are Options that fit a ledger.
func usual(address string) sqldb.Options {
	return sqldb.Options{
		Access:  sqldb.Access{URL: config.NewSecret(address), TLS: sqldb.TLSOff},
		Company: "Example ApS", Probe: probe, Lookup: lookup, Changes: changes, Batch: 40,
	}
}

func postgresLedger(t *testing.T) (l *ledger, address string) {
	t.Helper()
	pool := storetest.Empty(t)
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { _ = db.Close() })
	l = &ledger{t: t, db: db, mark: func(n int) string { return fmt.Sprintf("$%d", n) }, text: "text", at: "timestamptz"}
	l.create()
	c := pool.Config().ConnConfig
	u := url.URL{Scheme: "postgres", User: url.UserPassword(c.User, c.Password), Host: fmt.Sprintf("%s:%d", c.Host, c.Port), Path: c.Database}
	if c.Password == "" {
		u.User = url.User(c.User)
	}
	return l, u.String()
}

func makeOf(t *testing.T, o sqldb.Options) func(erp.Common) (erp.Connector, error) {
	return func(common erp.Common) (erp.Connector, error) {
		connector, err := o.Make(common)
		if err == nil {
			t.Cleanup(func() { _ = connector.(interface{ Close() error }).Close() })
		}
		return connector, err
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	erptest.Suite{Folds: true, Invoices: true, New: func(t *testing.T) erptest.Subject {
		l, address := postgresLedger(t)
		return erptest.Subject{ERP: l, Make: makeOf(t, usual(address))}
	}}.Run(t)
}
