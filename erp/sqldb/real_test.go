package sqldb_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/erp"
	"kvit/erp/erptest"
	"kvit/erp/sqldb"
	"kvit/store/storetest"
)

// patience is for programs that start, on a busy machine.
const patience = 10 * time.Minute

// wanted skips the test unless real ERPs were asked for.
func wanted(t *testing.T) {
	t.Helper()
	if os.Getenv("KVIT_ERPS") == "" {
		t.Skip("real ERPs are tested by `make test-erps`")
	}
}

// launch runs a program that the test ends.
func launch(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	said := &bytes.Buffer{}
	if cmd.Stderr == nil {
		cmd.Stderr = said
	}
	require.NoError(t, cmd.Start())
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // what went wrong shows elsewhere
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
		select {
		case <-exited:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
		}
		if t.Failed() {
			t.Logf("%s: %s", filepath.Base(cmd.Path), said)
		}
	})
}

// documented are the Options of the nth example of docs/erp/sql.md, for a database at this address.
func documented(t *testing.T, n int, address string) sqldb.Options {
	t.Helper()
	page, err := os.ReadFile("../../docs/erp/sql.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(erp:\n.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(blocks), n)
	text := "shop:\n  orders: {table: orders, ref: ref, placed_at: placed_at}\n" + blocks[n][1]
	cfg, err := config.Parse("docs/erp/sql.md", []byte(text), func(name string) string {
		if name == "DATABASE_URL" {
			return "postgres://kvit@db.example.com/shop"
		}
		return address
	}, []config.Kind{sqldb.Kind})
	require.NoError(t, err)
	return cfg.ERPs[0].Settings.(sqldb.Options)
}

// TestDocumentedStatements: all examples of the page are configurations without a mistake.
func TestDocumentedStatements(t *testing.T) {
	t.Parallel()
	for n := range 3 {
		documented(t, n, "postgres://kvit:pw@erp.example.com/erp")
	}
}

// tryton is one whose company can sell.
type tryton struct {
	t     *testing.T
	stdin io.Writer
	lines *bufio.Scanner
}

// sale is what Tryton says of one.
type sale struct{ Number, State string }

func (y tryton) do(wish map[string]string) sale {
	y.t.Helper()
	line, err := json.Marshal(wish)
	require.NoError(y.t, err)
	_, err = y.stdin.Write(append(line, '\n'))
	require.NoError(y.t, err)
	require.True(y.t, y.lines.Scan(), "Tryton's program has ended")
	var s sale
	require.NoError(y.t, json.Unmarshal(y.lines.Bytes(), &s), "%s", y.lines.Text())
	return s
}

// startTryton makes Tryton's tables in an empty database, and a company.
func startTryton(t *testing.T) (y tryton, address string) {
	t.Helper()
	// Tryton asks the catalogue about each column that it makes, all in one transaction, of which no statistics know: nested
	// loops over it would take minutes.
	own := storetest.OwnServer(t)
	pool, err := pgxpool.New(t.Context(), own.URL("postgres"))
	require.NoError(t, err)
	for _, statement := range []string{
		"create database tryton", "alter system set enable_nestloop = off", "alter system set synchronous_commit = off",
		"alter system set jit = off", "select pg_reload_conf()",
	} {
		_, err := pool.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	pool.Close()
	u, err := url.Parse(own.URL("tryton"))
	require.NoError(t, err)
	u.RawQuery = ""
	address = u.String()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	server := *u
	server.Path = "/"
	server.Scheme = "postgresql"
	conf := write("trytond.conf", fmt.Sprintf("[database]\nuri = %s\npath = %s\n[session]\nsuper_pwd =\n", server.String(), dir))
	database := strings.Trim(u.Path, "/")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	admin := exec.CommandContext(ctx, "/usr/bin/trytond-admin", "-c", conf, "-d", database, "-u", "sale", "--activate-dependencies", "--email", "admin@example.com", "-p")
	admin.Env = append(os.Environ(), "TRYTONPASSFILE="+write("password", "not-a-secret-1\n"))
	out, err := admin.CombinedOutput()
	require.NoError(t, err, "%s", out)

	program := exec.Command("/usr/bin/python3", "testdata/tryton.py", conf, database)
	stdin, err := program.StdinPipe()
	require.NoError(t, err)
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	launch(t, program)
	y = tryton{t: t, stdin: stdin, lines: bufio.NewScanner(stdout)}
	require.True(t, y.lines.Scan(), "Tryton's program has ended")
	return y, address
}

// TestTryton asks a real ERP by the statements of docs/erp/sql.md, through a role that can read three tables.
func TestTryton(t *testing.T) {
	wanted(t)
	t.Parallel()
	y, address := startTryton(t)
	const blank = " WEB-5 "
	numbers := map[string]string{}
	for ref, state := range map[string]string{
		"WEB-1": "draft", "WEB-2": "quotation", "WEB-3": "confirmed", "web-4": "processing", blank: "confirmed", "WEB-30": "confirmed", "WEB-6": "cancelled", "": "confirmed",
	} {
		s := y.do(map[string]string{"reference": ref, "state": state})
		numbers[strings.TrimSpace(ref)] = s.Number
		if state == "confirmed" {
			state = "processing" // at once, since nothing has to be made by hand
		}
		require.Equal(t, state, s.State)
	}
	a := ask(t, documented(t, 0, address))
	proof, err := a.connector.Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "company Example ApS", proof.Company)

	before := time.Now()
	docs, err := a.lookup("WEB-1", "WEB-2", "WEB-3", "WEB-4", "WEB-5", "WEB-6", "WEB-7")
	require.NoError(t, err)
	of := map[string]erp.Document{}
	for _, d := range docs {
		of[erp.Fold(d.Ref)] = d
	}
	require.Len(t, of, 6, "what was not asked for does not come")
	for _, ref := range []string{"WEB-1", "WEB-2", "WEB-6"} {
		require.Equal(t, erp.QuoteDocument, of[ref].Kind, ref)
	}
	for ref, written := range map[string]string{"WEB-3": "WEB-3", "WEB-4": "web-4", "WEB-5": "WEB-5"} {
		d := of[ref]
		require.Equal(t, erp.OrderDocument, d.Kind, ref)
		require.NotEmpty(t, d.Number)
		require.Equal(t, numbers[written], d.Number)
		require.Equal(t, 2, d.Lines, "a comment is no line")
		require.Regexp(t, `^30(\.00)?$`, d.Total)
		require.WithinDuration(t, before, *d.CreatedAt, 30*time.Minute, "Tryton writes UTC")
	}

	// What is written later comes by changes, an old sale that moves included.
	from := time.Now().Add(-time.Second).Truncate(time.Second)
	y.do(map[string]string{"reference": "WEB-8", "state": "confirmed"})
	y.do(map[string]string{"number": numbers["WEB-2"], "state": "confirmed"})
	changed, err := a.since(from)
	require.NoError(t, err)
	kinds := map[string]string{}
	for _, d := range changed {
		require.False(t, d.ChangedAt.Before(from))
		kinds[erp.Fold(d.Ref)] = d.Kind
	}
	require.Equal(t, erp.OrderDocument, kinds["WEB-8"])
	require.Equal(t, erp.OrderDocument, kinds["WEB-2"])
	future, err := a.since(time.Now().Add(time.Hour).Truncate(time.Second))
	require.NoError(t, err)
	require.Empty(t, future)

	wrong := documented(t, 0, address)
	wrong.Company = "Sommer ApS"
	_, err = ask(t, wrong).connector.Probe(t.Context())
	require.Equal(t, erp.Unproven, erp.KindOf(err))
}

// mariaDB is a server of the test's own.
type mariaDB struct {
	port int
	root *sql.DB
}

func startMariaDB(t *testing.T) mariaDB {
	t.Helper()
	dir, err := os.MkdirTemp("", "kvit-mariadb") //nolint:usetesting // a socket's path must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	asRoot := []string{}
	if os.Getuid() == 0 {
		asRoot = []string{"--user=root"}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	install := exec.CommandContext(ctx, "/usr/bin/mariadb-install-db", append([]string{"--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--datadir=" + data}, asRoot...)...)
	out, err := install.CombinedOutput()
	require.NoError(t, err, "%s", out)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := mariaDB{port: l.Addr().(*net.TCPAddr).Port}
	require.NoError(t, l.Close())
	launch(t, exec.Command("/usr/sbin/mariadbd", append([]string{
		"--no-defaults", "--datadir=" + data, "--socket=" + socket, "--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", m.port),
		"--innodb-buffer-pool-size=16M", "--default-time-zone=+05:00", "--skip-log-bin", "--pid-file=" + filepath.Join(dir, "pid"),
	}, asRoot...)...))
	m.root = m.open(t, "root", "")
	require.Eventually(t, func() bool { return m.root.PingContext(ctx) == nil }, patience, 100*time.Millisecond)
	return m
}

func (m mariaDB) open(t *testing.T, user, database string) *sql.DB {
	t.Helper()
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName, c.Loc, c.ParseTime = "tcp", fmt.Sprintf("127.0.0.1:%d", m.port), user, database, time.UTC, true
	c.Params = map[string]string{"time_zone": "'+00:00'"}
	c.Logger = quiet{}
	connector, err := mysql.NewConnector(c)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

type quiet struct{}

func (quiet) Print(...any) {}

// ledger makes a database with the ledger, and a user who can read it.
func (m mariaDB) ledger(t *testing.T, name, at string) (l *ledger, address string) {
	t.Helper()
	_, err := m.root.ExecContext(t.Context(), "create database "+name+" character set utf8mb4")
	require.NoError(t, err)
	_, err = m.root.ExecContext(t.Context(), "grant select on "+name+".* to 'kvit'@'127.0.0.1' identified by 'p@ss/word'")
	require.NoError(t, err)
	l = &ledger{t: t, db: m.open(t, "root", name), mark: func(int) string { return "?" }, text: "varchar(200)", at: at}
	l.create()
	u := url.URL{Scheme: "mariadb", User: url.UserPassword("kvit", "p@ss/word"), Host: fmt.Sprintf("127.0.0.1:%d", m.port), Path: name}
	return l, u.String()
}

// TestMariaDB runs the suite against a real server, and shows what is peculiar to it.
func TestMariaDB(t *testing.T) {
	wanted(t)
	t.Parallel()
	m := startMariaDB(t)
	var n int
	names := make(chan string, 100)
	for ; n < cap(names); n++ {
		names <- fmt.Sprintf("ledger%d", n)
	}
	t.Run("Suite", func(t *testing.T) {
		erptest.Suite{Folds: true, Invoices: true, New: func(t *testing.T) erptest.Subject {
			l, address := m.ledger(t, <-names, "timestamp(6) null")
			return erptest.Subject{ERP: l, Make: makeOf(t, usual(address))}
		}}.Run(t)
	})
	t.Run("TimeZone", func(t *testing.T) { m.timeZones(t, <-names) })
	t.Run("Errors", func(t *testing.T) { m.errors(t, <-names) })
}

// timeZones: the server's own zone is +05:00, and matters to nothing.
func (m mariaDB) timeZones(t *testing.T, name string) {
	l, address := m.ledger(t, name, "timestamp(6) null")
	l.exec(`create table old (ref varchar(20), wall datetime, instant timestamp null)`)
	l.exec(`insert into old values ('WEB-1', '2026-07-01 14:00', '2026-07-01 12:00'), ('WEB-2', '2026-07-01 13:59:59', '2026-07-01 11:59:59'), ('WEB-3', '0000-00-00', null)`)
	instant := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	o := usual(address)
	o.Lookup = `select ref, instant as created_at, wall as changed_at from old where ref in ({refs})`
	o.Changes = `select ref, instant as changed_at from old where instant >= {since} order by instant`
	docs, err := ask(t, o).lookup("WEB-1", "WEB-3")
	require.NoError(t, err)
	require.True(t, docs[0].CreatedAt.Equal(instant))
	require.True(t, docs[1].ChangedAt.IsZero(), "0000-00-00 is no time")
	docs, err = ask(t, o).since(instant)
	require.NoError(t, err)
	require.Len(t, docs, 1)

	o.TimeZone, err = time.LoadLocation("Europe/Copenhagen")
	require.NoError(t, err)
	_, err = ask(t, o).since(instant)
	require.Equal(t, erp.Misconfigured, erp.KindOf(err), "a timestamp would be compared with the clock on the wall: %v", err)
	o.Changes = `select ref, wall as changed_at from old where wall >= {since} order by wall`
	docs, err = ask(t, o).since(instant)
	require.NoError(t, err)
	require.Len(t, docs, 1)
	require.True(t, docs[0].ChangedAt.Equal(instant))
}

// errors: what the server refuses is told by kind.
func (m mariaDB) errors(t *testing.T, name string) {
	l, address := m.ledger(t, name, "timestamp(6) null")
	l.exec(`create sequence counted`)
	_, err := m.root.ExecContext(t.Context(), "grant insert, delete on "+name+".* to 'kvit'@'127.0.0.1'")
	require.NoError(t, err)
	for statement, want := range map[string]erp.ErrorKind{
		`select ref from nowhere where ref in ({refs})`:                                       erp.Misconfigured,
		`select reff as ref from sale where ref in ({refs})`:                                  erp.Misconfigured,
		`select from where {refs}`:                                                            erp.Misconfigured,
		`select ref from sale where ref in ({refs}); delete from company`:                     erp.Misconfigured,
		`select nextval(counted) as ref from company where 'x' in ({refs}) or true`:           erp.Refused,
		`select password as ref from mysql.global_priv where 'x' in ({refs}) or true`:         erp.Unauthorized,
		`select sleep(30) as ref from company where 'x' in ({refs}) or true`:                  erp.TooMuch,
		`select 'a' as ref, 'offer' as kind from company where 'x' in ({refs}) or true`:       erp.Misconfigured,
		`select 'a' as ref, load_file('/etc/passwd') as x from company where 'x' in ({refs})`: erp.Misconfigured,
	} {
		kind, text := fails(t, address, statement)
		require.Equal(t, want, kind, "%s: %s", statement, text)
	}
	_, err = ask(t, usual(address)).connector.Probe(t.Context())
	require.NoError(t, err, "the company is still there")
	wrong := strings.Replace(address, "p%40ss%2Fword", "hunter2", 1)
	require.NotEqual(t, address, wrong)
	require.Equal(t, erp.Unauthorized, erp.KindOf(lookupError(t, usual(wrong))))
	require.Contains(t, []erp.ErrorKind{erp.Misconfigured, erp.Unauthorized}, erp.KindOf(lookupError(t, usual(address+"x"))))
	o := usual(address)
	o.TLS = sqldb.TLSVerify
	require.Equal(t, erp.Misconfigured, erp.KindOf(lookupError(t, o)), "it does not encrypt")
}
