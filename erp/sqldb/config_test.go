package sqldb_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/erp/sqldb"
)

const head = `shop:
  orders: {table: orders, ref: ref, placed_at: placed_at}
erp:
  ledger:
    kind: sql
`

const good = `    url: ${LEDGER}
    company: Example ApS
    probe: select name from company
    lookup: |
      select ref from sale
       where ref in ({refs});
`

func environment(url string) configtest.Environment { return configtest.Environment{"LEDGER": url} }

func TestConfiguration(t *testing.T) {
	t.Parallel()
	read := func(url, more string) sqldb.Options {
		cfg, err := config.Parse("kvit.yaml", []byte(head+good+more), func(name string) string {
			return map[string]string{"LEDGER": url, "DATABASE_URL": "postgres://kvit@db.example.com/shop"}[name]
		}, []config.Kind{sqldb.Kind})
		require.NoError(t, err)
		return cfg.ERPs[0].Settings.(sqldb.Options)
	}
	o := read("postgres://kvit:pw@erp.example.com/ledger", "")
	require.Equal(t, sqldb.TLSVerify, o.TLS, "whatever leaves the machine is encrypted")
	require.Equal(t, "postgres://erp.example.com/ledger", o.Database)
	require.NotContains(t, fmt.Sprintf("%+v", o), "pw", "kvit takes a fingerprint of it")
	require.Equal(t, 100, o.Batch)
	require.Nil(t, o.TimeZone)
	require.Equal(t, sqldb.TLSOff, read("mysql://kvit:p%40w@127.0.0.1:3306/ledger", "").TLS)
	o = read("mariadb://kvit@erp.example.com/ledger", `    tls: require
    changes: select ref, at as changed_at from sale where at >= {since} order by at
    time_zone: Europe/Copenhagen
    resolution: 1d
    batch: 40
`)
	require.Equal(t, "Europe/Copenhagen", o.TimeZone.String())
	require.Equal(t, 24*time.Hour, o.Resolution)
	require.Equal(t, 40, o.Batch)
	require.Equal(t, sqldb.TLSRequire, o.TLS)
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	const url = "postgres://kvit:pw@erp.example.com/ledger"
	of := func(url, text string) string {
		return strings.Join(configtest.Mistakes(t, sqldb.Kind, head+text, environment(url)), "\n")
	}
	lookup := func(statement string) string {
		return of(url, strings.Replace(good, "select ref from sale", statement, 1))
	}
	for _, key := range []string{"url", "company", "probe", "lookup"} {
		require.Contains(t, of(url, "    batch: 9\n"), "erp.ledger."+key+": is missing")
	}
	require.Contains(t, lookup("delete from sale"), "erp.ledger.lookup: must be one statement that begins with select or with")
	require.Contains(t, lookup("select 1; select ref from sale"), "erp.ledger.lookup: must be one statement: it has a ; before its end")
	require.Contains(t, lookup("select {since}"), "erp.ledger.lookup: has a placeholder that is none of its own")
	require.Contains(t, of(url, strings.Replace(good, "{refs}", "'WEB-1'", 1)), "erp.ledger.lookup: must contain {refs} or {folded_refs}, where the parameters go")
	require.Contains(t, of(url, strings.Replace(good, "select name from company", `";"`, 1)), "erp.ledger.probe: must be one statement that begins")
	require.Contains(t, of(url, good+"    changes: select 1\n"), "erp.ledger.changes: must contain {since}, where the parameters go")
	require.Contains(t, of(url, good+"    tls_ca: ca.pem\n"), "erp.ledger.tls_ca: is not the absolute path of a file")
	require.Contains(t, of(url, good+"    tls: require\n    tls_ca: /ca.pem\n"), "erp.ledger.tls_ca: is of no use with tls: require")
	require.Contains(t, of(url, good+"    time_zone: Danish\n"), "erp.ledger.time_zone: is not a known time zone")
	five := strings.Replace(good, "({refs})", "({refs},{refs},{refs},{refs},{refs})", 1)
	require.Contains(t, of(url, five+"    batch: 500\n"), "erp.ledger.batch: times the placeholders of lookup is more than 2000")
	for address, problem := range map[string]string{
		"oracle://kvit:pw@erp.example.com/ledger":                "must begin with postgres, postgresql, mysql, mariadb or sqlserver://",
		"postgres://kvit:pw@erp.example.com":                     "must name host and database",
		"postgres://kvit:pw@erp.example.com/a/b":                 "must name host and database",
		"postgres://erp.example.com/ledger":                      "must name the user",
		"postgres://kvit:pw@erp.example.com/ledger?sslmode=none": "must end with the name of the database",
		"postgres://kvit:p/w@erp.example.com/ledger":             "is no URL: characters of the password",
	} {
		said := of(address, good)
		require.Contains(t, said, "erp.ledger.url: "+problem)
		require.NotContains(t, said, "pw")
	}
}
