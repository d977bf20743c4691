package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// oldestServer is the first version with all that the migrations use.
const oldestServer = 14

// rolesStep is the heading in the README under which what migrations need is made.
const rolesStep = `"Make the roles" in the README`

// NotReadyError says what has to be done to a database before it can be migrated.
type NotReadyError struct {
	Missing []string // each in one line
}

// Error lists everything that is missing.
func (e *NotReadyError) Error() string {
	return "the database is not ready: " + strings.Join(e.Missing, "; ")
}

// ground is what migrations stand on.
type ground struct {
	version  int    // 150018 for 15.18
	product  string // what the server says it is
	readOnly bool
	database string
	role     string
	owner    string // of the schema; empty: it does not exist
	create   bool   // the role may create a schema, or objects in it if it exists
	groups   []string
	roles    bool // the role may create roles
}

// Ready returns a *NotReadyError if steps are pending and a right, a role or a server that they need is missing. Of a
// database that cannot be reached it says why, as far as that can be mended by a step of the README.
func Ready(ctx context.Context, pool *pgxpool.Pool) error {
	err := Check(ctx, pool)
	if err == nil {
		return nil
	}
	g, err := readGround(ctx, pool)
	if err != nil {
		return unreachable(err)
	}
	if missing := g.missing(); len(missing) > 0 {
		return &NotReadyError{Missing: missing}
	}
	return nil
}

func readGround(ctx context.Context, pool *pgxpool.Pool) (g ground, err error) {
	err = pool.QueryRow(ctx, `
		select current_setting('server_version_num')::integer, version(),
		       pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean,
		       current_database(), current_user, coalesce(pg_get_userbyid(n.nspowner), ''),
		       case when n.oid is null then has_database_privilege(current_database(), 'create')
		            else has_schema_privilege(n.oid, 'create') end,
		       (select array(select wanted from unnest(array['kvit_shop', 'kvit_erp', 'kvit_ops']) wanted
		                     where wanted not in (select rolname from pg_roles))),
		       (select rolsuper or rolcreaterole from pg_roles where rolname = current_user)
		from (select 1) one left join pg_namespace n on n.nspname = $1`, Schema).
		Scan(&g.version, &g.product, &g.readOnly, &g.database, &g.role, &g.owner, &g.create, &g.groups, &g.roles)
	if err != nil {
		return g, fmt.Errorf("look at the database: %w", err)
	}
	return g, nil
}

func (g ground) missing() (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if g.version < oldestServer*10_000 {
		add("the server is Postgres %d, and kvit needs %d or later", g.version/10_000, oldestServer)
	}
	if strings.Contains(g.product, "-YB-") { // as in "PostgreSQL 15.12-YB-2025.2.3.0-b1"
		add("the server is YugabyteDB, which kvit does not support: docs/scale.md says why")
	}
	if g.readOnly {
		add("the server is read only, a replica perhaps: database.url must lead to the primary")
	}
	switch {
	case g.create:
	case g.owner == "":
		add("role %s may not create the schema %s in database %s: see %s (grant create on database %s to %s)",
			g.role, Schema, g.database, rolesStep, quoteName(g.database), quoteName(g.role))
	default:
		add("role %s may not change the schema %s in database %s, which belongs to role %s: migrate as that role", g.role, Schema, g.database, g.owner)
	}
	if len(g.groups) > 0 && !g.roles {
		var statements []string
		for _, group := range g.groups {
			statements = append(statements, "create role "+group+" nologin")
		}
		add("role %s may not create the groups that are missing: see %s (%s)", g.role, rolesStep, strings.Join(statements, "; "))
	}
	return list
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// unreachable adds the step that is missing to what the server says of a connection.
func unreachable(err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return err
	}
	switch {
	case pgErr.Code == "3D000":
		return &NotReadyError{Missing: []string{pgErr.Message + ": is the name at the end of database.url right?"}}
	case strings.HasPrefix(pgErr.Code, "28"):
		return &NotReadyError{Missing: []string{pgErr.Message + ": see " + rolesStep + ", and database.url"}}
	}
	return err
}
