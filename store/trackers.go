package store

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// trackerFunction is a function of a schema, as far as it says what the function may do.
type trackerFunction struct {
	Schema, Name string
	Language     string
	Kind         string
	Body         string
	Path         string // the search path that it sets; empty: its caller's
	Entry        bool   // a trigger's
}

// withoutTrackers leaves out triggers that do nothing but insert events into kvit.tracking_event, whose payloads kvit
// erases itself: those that kvit init writes, and those that a shop writes like them. It believes no name, it reads the
// code: see tracksOnly. A function that somebody else than the owner of its schema has made, or could make, is none.
func withoutTrackers(ctx context.Context, db DB, leaks []Leak) ([]Leak, error) {
	var schemas []string
	for _, l := range leaks {
		if schema, _, ok := strings.Cut(l.Detail, "."); l.Kind == LeakTrigger && ok && !slices.Contains(schemas, schema) {
			schemas = append(schemas, schema)
		}
	}
	if len(schemas) == 0 {
		return leaks, nil
	}
	rows, _ := db.Query(ctx, `
		select n.nspname::text as schema, f.proname::text as name, l.lanname::text as language, f.prokind::text as kind, f.prosrc as body,
		       coalesce((select substring(c from '=(.*)$') from unnest(f.proconfig) c where c like 'search\_path=%'), '') as path,
		       f.prorettype = 'trigger'::regtype as entry
		from pg_namespace n
		join pg_proc f on f.pronamespace = n.oid
		join pg_language l on l.oid = f.prolang
		where n.nspname = any ($1)
		  and not exists (select from pg_proc other where other.pronamespace = n.oid and other.proowner <> n.nspowner)
		  and not exists (select from aclexplode(n.nspacl) a where a.privilege_type = 'CREATE' and a.grantee <> n.nspowner)`, schemas) // Collect reports its error
	functions, err := pgx.CollectRows(rows, pgx.RowToStructByName[trackerFunction])
	if err != nil {
		return nil, fmt.Errorf("read functions of triggers: %w", err)
	}
	return slices.DeleteFunc(leaks, func(l Leak) bool {
		schema, name, _ := strings.Cut(l.Detail, ".")
		return l.Kind == LeakTrigger && tracksOnly(functions, schema, name)
	}), nil
}

// pinnedPaths are search paths by which a name without a schema can mean nothing but Postgres' own.
var pinnedPaths = []string{"pg_catalog", "pg_catalog, pg_temp"}

// tracksOnly tells whether a trigger's function writes nothing but events: it sets a search path that makes names mean
// Postgres' own functions; the one table that its code, or that of any function it calls, writes to is
// kvit.tracking_event; and what it calls is of the same schema, or Postgres' own and writes nowhere.
func tracksOnly(functions []trackerFunction, schema, name string) bool {
	isEntry := func(f trackerFunction) bool {
		return f.Schema == schema && f.Name == name && f.Entry && slices.Contains(pinnedPaths, f.Path)
	}
	if !slices.ContainsFunc(functions, isEntry) {
		return false
	}
	seen := []string{}
	for next := []string{name}; len(next) > 0; next = next[1:] {
		if slices.Contains(seen, next[0]) {
			continue
		}
		seen = append(seen, next[0])
		calls, ok := callsOf(functions, schema, next[0])
		if !ok {
			return false
		}
		next = append(next, calls...)
	}
	return true
}

// callsOf are the functions of the schema that those of a name call; ok is false if one of these may do something else
// than to read, and to insert events.
func callsOf(functions []trackerFunction, schema, name string) (calls []string, ok bool) {
	for _, f := range functions {
		if f.Schema != schema || f.Name != name {
			continue
		}
		ok = true
		names, harmless := f.calls()
		if !harmless {
			return nil, false
		}
		calls = append(calls, names...)
	}
	return calls, ok
}

var (
	insertEvent = regexp.MustCompile(`insert into kvit\.tracking_event\b`)
	otherWrite  = regexp.MustCompile(`\b(insert|update|delete|merge|truncate|copy|execute|call|notify|create|alter|drop|grant|import|load|prepare)\b`)
	outside     = regexp.MustCompile(`\b(pg_notify|pg_logical_emit_message|set_config|lo_\w+|lowrite|query_to_\w+|table_to_\w+|cursor_to_\w+|schema_to_\w+|database_to_\w+|pg_file_\w+)\b`)
	selectInto  = regexp.MustCompile(`\binto\b`)
	qualified   = regexp.MustCompile(`(\w+)\.(\w+) ?\(`)
)

// calls are the functions of its schema that the function calls; harmless is false if its code may write something
// else than events, or cannot be read for certain.
func (f trackerFunction) calls() (names []string, harmless bool) {
	code, ok := plainCode(f.Body)
	if !ok || f.Kind != "f" || f.Language != "plpgsql" && f.Language != "sql" || f.Path != "" && !slices.Contains(pinnedPaths, f.Path) {
		return nil, false
	}
	code = insertEvent.ReplaceAllString(code, "")
	if otherWrite.MatchString(code) || outside.MatchString(code) || f.Language == "sql" && selectInto.MatchString(code) {
		return nil, false
	}
	for _, call := range qualified.FindAllStringSubmatch(code, -1) {
		switch call[1] {
		case "pg_catalog":
		case f.Schema:
			names = append(names, call[2])
		default:
			return nil, false
		}
	}
	return names, true
}

var (
	// A text, a quoted name, or a comment, whichever begins first.
	quotedCode = regexp.MustCompile(`(?s)'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/`)
	hardCode   = regexp.MustCompile(`(?i)\be'|\bu&['"]|\$\w*\$|/\*.*/\*`)
	spaces     = regexp.MustCompile(`\s+`)
	aroundDot  = regexp.MustCompile(` ?\. ?`)
)

// plainCode is code in small letters without its texts and comments; quoted names are just that. ok is false of code
// that has texts in forms which are not looked into.
func plainCode(body string) (code string, ok bool) {
	if strings.TrimSpace(body) == "" || hardCode.MatchString(body) {
		return "", false
	}
	code = quotedCode.ReplaceAllStringFunc(body, func(part string) string {
		switch part[0] {
		case '\'':
			return " '' "
		case '"':
			return "quoted"
		}
		return " "
	})
	return strings.ToLower(aroundDot.ReplaceAllString(spaces.ReplaceAllString(code, " "), ".")), true
}
