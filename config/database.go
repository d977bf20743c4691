package config

import (
	"net/url"
	"regexp"
	"strings"
)

const databaseURLVariable = "DATABASE_URL"

func readDatabase(top *Section) Database {
	s := top.Section("database")
	defer s.Finish()
	d := Database{
		URL:            readDatabaseURL(s),
		MaxConnections: s.Integer("max_connections", 20, 4, 500),
		Notify:         s.Boolean("notify", true),
	}
	readEngine(s)
	readReplica(s, &d)
	return d
}

// readDatabaseURL prefers $DATABASE_URL, yet refuses a password written into the file even then.
func readDatabaseURL(s *Section) Secret {
	override := s.reader.getenv(databaseURLVariable)
	e, written := s.take("url")
	literal, isText := plainText(e.value)
	isLiteral := isText && !strings.HasPrefix(literal, filePrefix) && !strings.Contains(literal, "${")

	text, problem := override, ""
	switch {
	case written && isLiteral && holdsPassword(literal):
		problem = "holds a password, so it " + literalProblem
	case override != "":
	case !written:
		problem = "is missing: write it here or set $" + databaseURLVariable
	case isLiteral:
		text = literal
	default:
		text, problem = s.reader.secretText(e.value)
	}
	if problem == "" {
		problem = connectionProblem(text)
		if problem == "" {
			return NewSecret(text)
		}
		if override != "" {
			problem = "$" + databaseURLVariable + " " + problem
		}
	}
	if !s.broken {
		s.Problem("url", problem)
	}
	return Secret{}
}

// connString is what this package needs to know of a connection string; pgx, which reads environment and
// files while it parses, does the rest.
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
type connString struct {
	password bool
}

func holdsPassword(text string) bool {
	c, ok := parseConnString(text)
	return ok && c.password
}

func connectionProblem(text string) string {
	if problem := firstProblem(text, []Check{notEmpty, OneLine}); problem != "" {
		return problem
	}
	if _, ok := parseConnString(text); !ok {
		return "is neither a postgres:// URL nor a key=value connection string"
	}
	return ""
}

func parseConnString(text string) (connString, bool) {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(text, scheme); ok {
			return parseConnURL(rest)
		}
	}
	return parseConnPairs(text)
}

// parseConnURL works by hand because net/url refuses the list of hosts that libpq allows.
func parseConnURL(rest string) (connString, bool) {
	path, query, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(query)
	if err != nil || strings.ContainsAny(path, " \t") {
		return connString{}, false
	}
	c := connString{password: values.Has("password") || values.Has("sslpassword")}
	if at := strings.LastIndex(path, "@"); at >= 0 {
		_, password, _ := strings.Cut(path[:at], ":")
		c.password = c.password || password != ""
	}
	return c, true
}

var (
	connPair  = regexp.MustCompile(`\s*([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?:\s+|$)`)
	connPairs = regexp.MustCompile(`^(?:` + connPair.String() + `)+$`)
)

func parseConnPairs(text string) (connString, bool) {
	if !connPairs.MatchString(text) {
		return connString{}, false
	}
	var c connString
	for _, m := range connPair.FindAllStringSubmatch(text, -1) {
		switch strings.ToLower(m[1]) {
		case "password", "sslpassword":
			c.password = true
		}
	}
	return c, true
}
