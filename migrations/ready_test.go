package migrations_test

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/migrations"
	"kvit/store/storetest"
)

// unprepared is a server without kvit's groups, a role on it that may do nothing, and a pool of that role.
func unprepared(t *testing.T) (admin *pgxpool.Pool, as func(database, user string, settings ...string) *pgxpool.Pool) {
	t.Helper()
	u, err := url.Parse(storetest.OwnServer(t).URL("postgres"))
	require.NoError(t, err)
	as = func(database, user string, settings ...string) *pgxpool.Pool {
		own := *u
		own.Path = "/" + database
		if user != "" {
			own.User = url.UserPassword(user, "secret-word")
		}
		config, err := pgxpool.ParseConfig(own.String())
		require.NoError(t, err)
		if len(settings) > 0 {
			config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
				_, err := conn.Exec(ctx, settings[0])
				return err
			}
		}
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	admin = as("postgres", "")
	return admin, as
}

func TestReadySaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	admin, as := unprepared(t)
	exec := func(sql string) {
		_, err := admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`create role kvit login password 'secret-word'`)
	exec(`create database shop`)
	says := func(pool *pgxpool.Pool, texts ...string) {
		t.Helper()
		err := migrations.Ready(t.Context(), pool)
		var notReady *migrations.NotReadyError
		require.ErrorAs(t, err, &notReady)
		for _, text := range texts {
			require.ErrorContains(t, err, text)
		}
		require.NotContains(t, err.Error(), "secret-word")
	}
	pool := as("shop", "kvit")
	const groups = `role kvit may not create the groups that are missing: see "Make the roles" in the README (create role kvit_shop nologin; create role kvit_erp nologin; create role kvit_ops nologin)`
	says(pool, `role kvit may not create the schema kvit in database shop: see "Make the roles" in the README (grant create on database "shop" to "kvit")`, groups)
	says(as("shop", "kvit", `set default_transaction_read_only = on`), "the server is read only, a replica perhaps: database.url must lead to the primary")
	says(as("shp", "kvit"), `database "shp" does not exist: is the name at the end of database.url right?`)

	exec(`grant create on database shop to kvit`)
	says(pool, groups)
	exec(`create role kvit_shop nologin; create role kvit_erp nologin; create role kvit_ops nologin`)
	require.NoError(t, migrations.Ready(t.Context(), pool))

	// What is said is what is needed.
	_, err := migrations.Up(t.Context(), pool, quiet)
	require.NoError(t, err)
	exec(`create role other login password 'secret-word'`)
	says(as("shop", "other"), "role other may not change the schema kvit in database shop, which belongs to role kvit: migrate as that role")

	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	require.Contains(t, strings.ReplaceAll(string(readme), "*", ""), "Make the roles")
}

func TestServersThatAreTooOld(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"the server is Postgres 13, and kvit needs 14 or later"}, migrations.MissingOn(130_011))
	require.Empty(t, migrations.MissingOn(140_000))
}

// A server that speaks as Postgres does and is another product is refused before anything is made on it.
func TestReadyRefusesYugabyte(t *testing.T) {
	t.Parallel()
	admin, as := unprepared(t)
	for _, sql := range []string{
		`create schema pretended`,
		`create function pretended.version() returns text language sql return 'PostgreSQL 15.12-YB-2025.2.3.0-b1 on x86_64'`,
	} {
		_, err := admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	err := migrations.Ready(t.Context(), as("postgres", "", `set search_path = pretended, pg_catalog`))
	require.ErrorContains(t, err, "the server is YugabyteDB, which kvit does not support")
	require.NoError(t, migrations.Ready(t.Context(), admin))
}
