package sqldb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// dialect is what differs between servers.
type dialect struct {
	connector func(u *url.URL, a Access, timeout time.Duration) (driver.Connector, error)
	mark      func(n int) string // of the nth parameter, from 1
	readOnly  bool               // it has transactions that only read
	prepare   func(ctx context.Context, conn *sql.Conn, timeout time.Duration) error
	since     func(t time.Time, zone *time.Location) any
	// converts tells that times with and without a zone are compared right, whatever zone a parameter is in.
	converts bool
}

// dialects are the servers by the schemes of their URLs.
var dialects = map[string]dialect{
	"postgres": postgres, "postgresql": postgres,
	"mysql": mySQL, "mariadb": mySQL,
	"sqlserver": sqlServer,
}

var postgres = dialect{
	connector: postgresConnector, mark: func(n int) string { return "$" + strconv.Itoa(n) }, readOnly: true,
	prepare:  func(context.Context, *sql.Conn, time.Duration) error { return nil },
	since:    func(t time.Time, zone *time.Location) any { return in(t, zone) },
	converts: true,
}

var mySQL = dialect{
	connector: mySQLConnector, mark: func(int) string { return "?" }, readOnly: true,
	prepare: prepareMySQL, since: onTheWall,
}

var sqlServer = dialect{
	connector: sqlServerConnector, mark: func(n int) string { return "@p" + strconv.Itoa(n) },
	prepare: func(context.Context, *sql.Conn, time.Duration) error { return nil },
	since:   onTheWall,
}

func in(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		return t.UTC()
	}
	return t.In(zone)
}

// onTheWall is what a clock in the zone shows, as if it were UTC: so are times without a zone compared.
func onTheWall(t time.Time, zone *time.Location) any {
	_, offset := in(t, zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// open makes a pool that has not connected yet. Its errors name a key, and hold nothing of the URL.
func open(a Access, timeout time.Duration) (*sql.DB, dialect, error) {
	u, err := url.Parse(a.URL.Reveal())
	if err != nil {
		return nil, dialect{}, errors.New("url: is no URL")
	}
	d, known := dialects[u.Scheme]
	if !known {
		return nil, dialect{}, errors.New("url: is of no database that is known")
	}
	connector, err := d.connector(u, a, timeout)
	if err != nil {
		return nil, dialect{}, err
	}
	return sql.OpenDB(connector), d, nil
}

// tlsConfig is nil where nothing is encrypted.
func tlsConfig(u *url.URL, a Access) (*tls.Config, error) {
	switch a.TLS {
	case TLSOff:
		return nil, nil
	case TLSRequire:
		return &tls.Config{InsecureSkipVerify: true}, nil //nolint:gosec // so the operator wants it: tls: require
	}
	c := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if a.TLSCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(a.TLSCA)
	if err != nil {
		return nil, fmt.Errorf("tls_ca: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("tls_ca: holds no certificate in PEM")
	}
	return c, nil
}

func database(u *url.URL) string { return strings.Trim(u.Path, "/") }

// postgresConnector takes nothing from libpq's variables and files but what is not said here.
func postgresConnector(u *url.URL, a Access, timeout time.Duration) (driver.Connector, error) {
	encrypted, err := tlsConfig(u, a)
	if err != nil {
		return nil, err
	}
	password, _ := u.User.Password()
	c, err := pgx.ParseConfig("sslmode=disable passfile=/dev/null")
	if err != nil {
		return nil, errors.New("url: libpq's variables of the environment (PG...) contradict it")
	}
	host, port, err := net.SplitHostPort(address(u, "5432"))
	if err != nil {
		return nil, errors.New("url: has no host and port")
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, errors.New("url: its port is no number")
	}
	c.Host, c.Port, c.Database, c.User, c.Password = host, uint16(number), database(u), u.User.Username(), password
	c.TLSConfig, c.Fallbacks, c.ValidateConnect = encrypted, nil, nil
	c.ConnectTimeout = timeout
	c.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec // keeps nothing on the server, which poolers like
	c.RuntimeParams = map[string]string{
		"application_name": "kvit", "default_transaction_read_only": "on", "statement_timeout": strconv.FormatInt(timeout.Milliseconds(), 10),
	}
	return stdlib.GetConnector(*c), nil
}

func mySQLConnector(u *url.URL, a Access, timeout time.Duration) (driver.Connector, error) {
	encrypted, err := tlsConfig(u, a)
	if err != nil {
		return nil, err
	}
	password, _ := u.User.Password()
	c := mysql.NewConfig()
	c.Net, c.Addr, c.DBName, c.User, c.Passwd = "tcp", address(u, "3306"), database(u), u.User.Username(), password
	c.TLS, c.Timeout, c.ReadTimeout, c.WriteTimeout = encrypted, timeout, timeout, timeout
	c.ParseTime, c.Loc, c.Logger = true, time.UTC, silent{}
	c.Params = map[string]string{"time_zone": "'+00:00'"}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, errors.New("url: the MySQL driver does not take it")
	}
	return connector, nil
}

// silent keeps the driver from writing to the standard error, in its own words.
type silent struct{}

func (silent) Print(...any) {}

const unknownVariable = 1193 // MySQL's error

// prepareMySQL bounds how long the server works at an answer that nobody waits for any more. MariaDB and MySQL have
// different names for it.
func prepareMySQL(ctx context.Context, conn *sql.Conn, timeout time.Duration) error {
	_, err := conn.ExecContext(ctx, fmt.Sprintf("set session max_statement_time = %.3f", timeout.Seconds()))
	var unknown *mysql.MySQLError
	if errors.As(err, &unknown) && unknown.Number == unknownVariable {
		_, err = conn.ExecContext(ctx, fmt.Sprintf("set session max_execution_time = %d", timeout.Milliseconds()))
	}
	return err
}

func sqlServerConnector(u *url.URL, a Access, timeout time.Duration) (driver.Connector, error) {
	said := url.Values{
		"database": {database(u)}, "app name": {"kvit"}, "dial timeout": {strconv.Itoa(max(1, int(timeout.Seconds())))},
		"encrypt": {"true"}, "TrustServerCertificate": {strconv.FormatBool(a.TLS == TLSRequire)},
	}
	if a.TLS == TLSOff {
		said.Set("encrypt", "disable")
	}
	if a.TLSCA != "" {
		said.Set("certificate", a.TLSCA)
	}
	dsn := url.URL{Scheme: "sqlserver", User: u.User, Host: address(u, "1433"), RawQuery: said.Encode()}
	c, err := msdsn.Parse(dsn.String())
	if err != nil {
		return nil, errors.New("url or tls_ca: the SQL Server driver does not take it")
	}
	c.ConnTimeout = timeout // of each read: without it, the driver waits for ever for a server that takes connections and says nothing
	return mssql.NewConnectorConfig(c), nil
}
