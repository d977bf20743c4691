package sqldb_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/erp"
	"kvit/erp/sqldb"
)

// asker makes a connector whose answers are easy to look at.
type asker struct {
	t         *testing.T
	connector erp.Connector
}

func ask(t *testing.T, o sqldb.Options, commons ...erp.Common) asker {
	t.Helper()
	common := erp.Common{Name: "ledger"}
	if len(commons) > 0 {
		common = commons[0]
	}
	connector, err := makeOf(t, o)(common)
	require.NoError(t, err)
	return asker{t, connector}
}

func (a asker) lookup(refs ...string) (docs []erp.Document, err error) {
	err = a.connector.(erp.Finder).Lookup(a.t.Context(), refs, func(page []erp.Document) error {
		docs = append(docs, page...)
		return nil
	})
	return docs, err
}

func (a asker) since(from time.Time) (docs []erp.Document, err error) {
	err = a.connector.(erp.Follower).Since(a.t.Context(), "changes", from, func(page []erp.Document) error {
		docs = append(docs, page...)
		return nil
	})
	return docs, err
}

// fails is the kind and text of the error of a lookup with this statement.
func fails(t *testing.T, address, statement string) (erp.ErrorKind, string) {
	t.Helper()
	o := usual(address)
	o.Lookup = statement
	_, err := ask(t, o, erp.Common{HTTP: destination.ClientOptions{Timeout: 3 * time.Second}}).lookup("WEB-1")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "WEB-1", "what was asked for stays out of errors")
	return erp.KindOf(err), err.Error()
}

// TestAllColumns: a row becomes a document with everything that kvit knows of.
func TestAllColumns(t *testing.T) {
	t.Parallel()
	l, address := postgresLedger(t)
	created, changed := time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC), time.Date(2026, 10, 26, 1, 30, 0, 0, time.UTC)
	want := erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-1", Number: "7", OrderNumber: "5", CreatedAt: &created, ChangedAt: changed, Lines: 3, Total: "1249.50"}
	l.Put(want)
	docs, err := ask(t, usual(address)).lookup("WEB-1")
	require.NoError(t, err)
	require.Len(t, docs, 1)
	require.True(t, docs[0].CreatedAt.Equal(created))
	require.True(t, docs[0].ChangedAt.Equal(changed))
	docs[0].CreatedAt, docs[0].ChangedAt = want.CreatedAt, want.ChangedAt
	require.Equal(t, want, docs[0])
}

// TestNumbersAsReferences: columns that are numbers are read as text, and what is null is not known.
func TestNumbersAsReferences(t *testing.T) {
	t.Parallel()
	_, address := postgresLedger(t)
	o := usual(address)
	o.Lookup = `select 10023::bigint as ref, null::text as number, 12.50::double precision as total, null::timestamptz as created_at where '10023' in ({refs})`
	docs, err := ask(t, o).lookup("10023")
	require.NoError(t, err)
	require.Equal(t, []erp.Document{{Kind: erp.OrderDocument, Ref: "10023", Total: "12.5"}}, docs)
}

// TestTimeZone: times without a zone count only with time_zone, summer time included, and those that changes asks for are
// in the same zone.
func TestTimeZone(t *testing.T) {
	t.Parallel()
	l, address := postgresLedger(t)
	l.exec(`create table old (ref text, at timestamp)`)
	l.exec(`insert into old values ('WEB-1', '2026-07-01 14:00'), ('WEB-2', '2026-12-01 13:00'), ('WEB-3', '2026-12-01 12:59:59'), ('WEB-4', 'infinity')`)
	o := usual(address)
	o.Lookup = `select ref, at as created_at from old where ref in ({refs})`
	o.Changes = `select ref, at as changed_at from old where at >= {since} and isfinite(at) order by at`

	docs, err := ask(t, o).lookup("WEB-1")
	require.NoError(t, err)
	require.Nil(t, docs[0].CreatedAt, "nothing says which zone it is")
	_, err = ask(t, o).since(time.Now())
	require.Equal(t, erp.Misconfigured, erp.KindOf(err), "%v", err)

	o.TimeZone, err = time.LoadLocation("Europe/Copenhagen")
	require.NoError(t, err)
	docs, err = ask(t, o).lookup("WEB-1", "WEB-4")
	require.NoError(t, err)
	require.True(t, docs[0].CreatedAt.Equal(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)))
	require.Nil(t, docs[1].CreatedAt, "infinity is no time")
	docs, err = ask(t, o).since(time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Len(t, docs, 1)
	require.Equal(t, "WEB-2", docs[0].Ref)
	require.True(t, docs[0].ChangedAt.Equal(time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)))
}

// TestDays: a day is no time of creation, and changes by days are asked for by days.
func TestDays(t *testing.T) {
	t.Parallel()
	l, address := postgresLedger(t)
	l.exec(`create table old (ref text, at date)`)
	l.exec(`insert into old values ('WEB-1', '2026-11-02'), ('WEB-2', '2026-11-01')`)
	o := usual(address)
	o.TimeZone = time.UTC
	o.Lookup = `select ref, at as created_at from old where ref in ({refs})`
	o.Changes = `select ref, at as changed_at from old where at >= {since} order by at`
	docs, err := ask(t, o).lookup("WEB-1")
	require.NoError(t, err)
	require.Nil(t, docs[0].CreatedAt)
	_, err = ask(t, o).since(time.Now())
	require.Equal(t, erp.Misconfigured, erp.KindOf(err), "%v", err)
	o.Resolution = 24 * time.Hour
	docs, err = ask(t, o).since(time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Len(t, docs, 1)
	require.Equal(t, 24*time.Hour, ask(t, o).connector.Traits().Resolution)
}

// TestReadsOnly: nothing that a statement tries is written.
func TestReadsOnly(t *testing.T) {
	t.Parallel()
	l, address := postgresLedger(t)
	l.exec(`create sequence counted`)
	kind, text := fails(t, address, `select nextval('counted')::text as ref where 'x' in ({refs}) or true`)
	require.Equal(t, erp.Refused, kind, text)
	kind, text = fails(t, address, `with gone as (delete from company returning name) select name as ref from gone where 'x' in ({refs}) or true`)
	require.Equal(t, erp.Refused, kind, text)
	kind, _ = fails(t, address, `select name as ref from company where name in ({refs}); delete from company`)
	require.Equal(t, erp.Misconfigured, kind)
	_, err := ask(t, usual(address)).connector.Probe(t.Context())
	require.NoError(t, err, "the company is still there")
}

// TestWrongStatements: each says what is wrong, by kind, and none shows what the database answered.
func TestWrongStatements(t *testing.T) {
	t.Parallel()
	l, address := postgresLedger(t)
	l.exec(`create role poor login`)
	for statement, want := range map[string]erp.ErrorKind{
		`select ref from nowhere where ref in ({refs})`:                                        erp.Misconfigured,
		`select reff as ref from sale where ref in ({refs})`:                                   erp.Misconfigured,
		`select from where {refs}`:                                                             erp.Misconfigured,
		`select number from sale where ref in ({refs})`:                                        erp.Misconfigured, // no ref
		`select ref, ref from sale where ref in ({refs})`:                                      erp.Misconfigured,
		`select ref, 'Anna' as customer from sale where ref in ({refs})`:                       erp.Misconfigured,
		`select 'a' as ref, 'offer' as kind where 'x' in ({refs}) or true`:                     erp.Misconfigured,
		`select 'a' as ref, null::text as kind where 'x' in ({refs}) or true`:                  erp.Misconfigured,
		`select 'a' as ref, '1,5' as total where 'x' in ({refs}) or true`:                      erp.Misconfigured,
		`select 'a' as ref, '-1' as line_count where 'x' in ({refs}) or true`:                  erp.Misconfigured,
		`select 'a' as ref, 'yesterday' as created_at where 'x' in ({refs}) or true`:           erp.Misconfigured,
		`select true as ref where 'x' in ({refs}) or true`:                                     erp.Misconfigured,
		`select 'Anna'::int::text as ref where 'x' in ({refs}) or true`:                        erp.Refused,
		`select n::text as ref from generate_series(1, 10001) n where 'x' in ({refs}) or true`: erp.TooMuch,
		`select pg_sleep(30)::text as ref where 'x' in ({refs}) or true`:                       erp.TooMuch,
	} {
		o := usual(address)
		o.Lookup = statement
		_, err := ask(t, o, erp.Common{HTTP: destination.ClientOptions{Timeout: 2 * time.Second}}).lookup("WEB-1")
		require.Equal(t, want, erp.KindOf(err), "%s: %v", statement, err)
		require.NotContains(t, err.Error(), "Anna", statement)
		require.NotContains(t, err.Error(), "WEB-1", statement)
	}
}

// TestProbes: only the right name, and only one, proves the company.
func TestProbes(t *testing.T) {
	t.Parallel()
	l, address := postgresLedger(t)
	kind := func(statement string) erp.ErrorKind {
		o := usual(address)
		o.Probe = statement
		_, err := ask(t, o).connector.Probe(t.Context())
		require.Error(t, err)
		return erp.KindOf(err)
	}
	require.Equal(t, erp.Unproven, kind(`select name from company where false`))
	require.Equal(t, erp.Unproven, kind(`select upper(name) from company`))
	require.Equal(t, erp.Unproven, kind(`select null::text`))
	require.Equal(t, erp.Misconfigured, kind(`select name, name from company`))
	require.Equal(t, erp.Misconfigured, kind(`select name from company cross join generate_series(1, 2)`))
	l.exec(`insert into company values ('Sommer ApS')`)
	require.Equal(t, erp.Misconfigured, kind(probe))
}

// TestAccess: an address that does not answer, a wrong password and a wrong name are told apart.
func TestAccess(t *testing.T) {
	t.Parallel()
	_, address := postgresLedger(t)
	kind := func(o sqldb.Options) erp.ErrorKind {
		_, err := ask(t, o).lookup("WEB-1")
		require.Error(t, err)
		for _, secret := range []string{"hunter2", "127.0.0.1"} {
			require.NotContains(t, err.Error(), secret)
		}
		return erp.KindOf(err)
	}
	require.Equal(t, erp.Misconfigured, kind(usual(address+"x")), "no such database")
	_, rest, _ := strings.Cut(address, "@")
	require.Equal(t, erp.Unauthorized, kind(usual("postgres://nobody:hunter2@"+rest)))
	require.Equal(t, erp.Unreachable, kind(usual("postgres://nobody:hunter2@127.0.0.1:1/ledger")))
	o := usual(address)
	o.TLS = sqldb.TLSVerify
	require.Equal(t, erp.Misconfigured, erp.KindOf(lookupError(t, o)), "it does not encrypt")
}

func lookupError(t *testing.T, o sqldb.Options) error {
	t.Helper()
	_, err := ask(t, o).lookup("WEB-1")
	return err
}

// TestSilentServer: one that takes connections and says nothing costs no more than the time limit.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	for _, scheme := range []string{"postgres", "mysql", "sqlserver"} {
		o := usual(scheme + "://kvit:hunter2@127.0.0.1:" + port + "/ledger")
		a := ask(t, o, erp.Common{HTTP: destination.ClientOptions{Timeout: 300 * time.Millisecond}})
		_, err := a.lookup("WEB-1")
		require.Equal(t, erp.Unreachable, erp.KindOf(err), "%s: %v", scheme, err)
	}
}

// TestLimits: an interruption, the day's calls, and no references at all.
func TestLimits(t *testing.T) {
	t.Parallel()
	_, address := postgresLedger(t)
	meter := &erp.Meter{}
	meter.Begin(1)
	a := ask(t, usual(address), erp.Common{Meter: meter})
	_, err := a.lookup()
	require.NoError(t, err)
	require.Zero(t, meter.Used())
	_, err = a.lookup("WEB-1")
	require.NoError(t, err)
	_, err = a.lookup("WEB-1")
	require.Equal(t, erp.Spent, erp.KindOf(err))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = ask(t, usual(address)).connector.(erp.Finder).Lookup(ctx, []string{"WEB-1"}, func([]erp.Document) error { return nil })
	require.Equal(t, erp.Unreachable, erp.KindOf(err))
	require.Equal(t, "interrupted", err.Error())
}

// TestPages: many rows are handed over in pages, and an error of whoever takes them ends it at once.
func TestPages(t *testing.T) {
	t.Parallel()
	l, address := postgresLedger(t)
	l.exec(`insert into sale (kind, ref, number, changed_at) select 'order', 'WEB-' || n, n, now() - n * interval '1 second' from generate_series(1, 1200) n`)
	follower := ask(t, usual(address)).connector.(erp.Follower)
	var pages []int
	take := func(page []erp.Document) error {
		pages = append(pages, len(page))
		return nil
	}
	require.NoError(t, follower.Since(t.Context(), "changes", time.Now().Add(-time.Hour), take))
	require.Equal(t, []int{500, 500, 200}, pages)
	full := errors.New("full")
	err := follower.Since(t.Context(), "changes", time.Now().Add(-time.Hour), func([]erp.Document) error { return full })
	require.Equal(t, full, err)
}

// TestWithoutChanges: a source that has no such statement is no Follower.
func TestWithoutChanges(t *testing.T) {
	t.Parallel()
	_, address := postgresLedger(t)
	o := usual(address)
	o.Changes = ""
	_, follows := ask(t, o).connector.(erp.Follower)
	require.False(t, follows)
}

// TestTLSCA: a file that holds no certificate is told of when the connector is made.
func TestTLSCA(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"postgres", "mysql", "sqlserver"} {
		o := usual(scheme + "://kvit:hunter2@db.example.com/ledger")
		o.TLS, o.TLSCA = sqldb.TLSVerify, "/nowhere/ca.pem"
		_, err := o.Make(erp.Common{})
		require.ErrorContains(t, err, "tls_ca", scheme)
		require.NotContains(t, err.Error(), "hunter2")
	}
	o := usual("db2://kvit@db.example.com/ledger")
	_, err := o.Make(erp.Common{})
	require.Error(t, err)
}
