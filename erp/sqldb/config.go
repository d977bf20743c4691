package sqldb

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kvit/config"
	"kvit/erp"
)

// Kind is an ERP whose database is read by statements of the operator's, as kvit.yaml names it.
var Kind = config.Kind{Name: "sql", ERP: &config.ERPDefaults{Poll: 5 * time.Minute, Overlap: 15 * time.Minute}, Read: erp.Reader(readOptions)}

// The values of Access.TLS.
const (
	TLSVerify  = "verify"  // encrypted, with a certificate of an authority that is known
	TLSRequire = "require" // encrypted, whoever answers
	TLSOff     = "off"
)

// Access is how a database is reached.
type Access struct {
	URL      config.Secret // postgres, mysql or sqlserver://user:password@host:port/database
	Database string        // what of it is no secret, for whoever wants to know whether it is the same database as before
	TLS      string        // TLSVerify, TLSRequire or TLSOff
	TLSCA    string        // a file with the authorities that TLSVerify trusts, instead of the system's; empty: the system's
}

// Options are what to ask the database. Lookup and Changes return a row for each document, with columns by the names
// that docs/erp/sql.md lists.
type Options struct {
	Access
	Company    string         // what Probe has to return, whole; empty: any row will do
	Probe      string         // a statement that returns the company's name
	Lookup     string         // a statement with {refs} or {folded_refs}
	Changes    string         // a statement with {since}; empty: the database is not asked what has changed
	Batch      int            // references of one Lookup; default 100
	Resolution time.Duration  // what times of change are multiples of; 0: seconds
	TimeZone   *time.Location // of times that tell none; nil: not known
}

func readOptions(s *config.Section) Options {
	o := Options{Access: ReadAccess(s)}
	o.Company = s.RequiredText("company", config.OneLine)
	o.Probe = s.RequiredText("probe", statement())
	o.Lookup = s.RequiredText("lookup", statement(refsHole, foldedHole))
	o.Changes = s.Text("changes", "", statement(sinceHole))
	o.Batch = s.Integer("batch", defaultBatch, 1, 500)
	o.Resolution = s.Duration("resolution", 0, 0, 24*time.Hour)
	o.TimeZone = ReadTimeZone(s)
	if n := strings.Count(o.Lookup, "{"); n*o.Batch > maxParameters {
		s.Problem("batch", "times the placeholders of lookup is more than "+strconv.Itoa(maxParameters)+", which is all that SQL Server takes")
	}
	return o
}

// ReadTimeZone reads time_zone; nil without it.
func ReadTimeZone(s *config.Section) *time.Location {
	name := s.Text("time_zone", "", config.TimeZone)
	zone, err := time.LoadLocation(name)
	if name == "" || err != nil { // the check has told of an error
		return nil
	}
	return zone
}

// ReadAccess reads url, tls and tls_ca. The url must be of one of the schemes; none: of any.
func ReadAccess(s *config.Section, schemes ...string) Access {
	var a Access
	a.URL = s.RequiredSecret("url", func(text string) string { return urlProblem(text, schemes) })
	usual := TLSVerify
	if u, err := url.Parse(a.URL.Reveal()); err == nil {
		u.User = nil
		a.Database = u.String()
		if loopback(u.Hostname()) {
			usual = TLSOff
		}
	}
	a.TLS = s.Choice("tls", usual, TLSVerify, TLSRequire, TLSOff)
	a.TLSCA = s.Text("tls_ca", "", config.OneLine, func(text string) string {
		if !filepath.IsAbs(text) {
			return "is not the absolute path of a file"
		}
		return ""
	})
	if a.TLSCA != "" && a.TLS != TLSVerify && !s.Faulty("tls") {
		s.Problem("tls_ca", "is of no use with tls: "+a.TLS)
	}
	return a
}

func urlProblem(text string, schemes []string) string {
	if len(schemes) == 0 {
		schemes = []string{"postgres", "postgresql", "mysql", "mariadb", "sqlserver"}
	}
	u, err := url.Parse(text)
	if err != nil {
		return "is no URL: characters of the password such as @ : / ? # % are written %40 %3A %2F %3F %23 %25"
	}
	password, hasPassword := u.User.Password()
	_, known := dialects[u.Scheme]
	switch {
	case !known || !contains(schemes, u.Scheme):
		return "must begin with " + config.JoinOr(schemes) + "://"
	case u.Hostname() == "" || strings.Trim(u.Path, "/") == "" || strings.Contains(strings.Trim(u.Path, "/"), "/"):
		return "must name host and database, as in " + schemes[0] + "://user:password@host:port/database"
	case u.User.Username() == "" || hasPassword && password == "":
		return "must name the user, and the password if there is one"
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "must end with the name of the database: encryption is said by tls and tls_ca"
	}
	return ""
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// address is host:port of a URL.
func address(u *url.URL, usualPort string) string {
	port := u.Port()
	if port == "" {
		port = usualPort
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// Make makes the connector. It does not connect.
func (o Options) Make(common erp.Common) (erp.Connector, error) { return New(o, common) }
