// Package storetest gives tests a real Postgres: a transaction that is rolled
// back, or a database of their own. Only _test.go files import it.
//
// Each test binary starts one private server when the first test asks for it,
// and Run stops it:
//
//	func TestMain(m *testing.M) { storetest.Run(m) }
//
// $KVIT_TEST_DATABASE_URL names another server to use instead, as a postgres://
// URL of a user who may create databases and roles. Each test binary makes its
// databases there, named kvit_test_*, and drops them; one that is killed leaves
// them behind. Roles belong to the whole server and stay.
//
// $KVIT_TEST_POSTGRES is the major version that the private servers are to have,
// as in 17; it is fetched if it is not installed.
package storetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store/localpg"
)

// patience bounds each step: starting, migrating, creating, dropping.
const patience = 2 * time.Minute

// Run runs a package's tests, stops what they started and exits.
func Run(m *testing.M) {
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "storetest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Tx is a transaction on a migrated database that the tests of this binary
// share. It is rolled back when the test ends: what it writes nobody else sees.
// The cheapest of all, for tests that need no commit.
func Tx(t testing.TB) pgx.Tx {
	t.Helper()
	pool, err := sharedPool()
	require.NoError(t, err)
	ctx := bounded(t)
	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = tx.Rollback(ctx) // an error means that the test ended it or lost its server
	})
	return tx
}

// DB is a pool on a migrated database of the test's own, dropped when the test
// ends. At most 10 connections.
func DB(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return open(t, URL(t))
}

// URL is a migrated database of the test's own, dropped when the test ends
// whoever is still connected, for a user who may do everything.
func URL(t testing.TB) string {
	t.Helper()
	c, err := sharedCluster()
	require.NoError(t, err)
	template, err := c.migrated()
	require.NoError(t, err)
	return ownDatabase(t, c, template)
}

// Empty is DB without the schema kvit.
func Empty(t testing.TB) *pgxpool.Pool {
	t.Helper()
	c, err := sharedCluster()
	require.NoError(t, err)
	return open(t, ownDatabase(t, c, emptyTemplate))
}

// Server is the private server behind the other functions, for its programs
// (pg_dump). Other tests use it too: to stop or restart one, take OwnServer.
// With $KVIT_TEST_DATABASE_URL it is a server beside that one, without the
// databases of DB.
func Server(t testing.TB) *localpg.Server {
	t.Helper()
	s, err := privateServer()
	require.NoError(t, err)
	return s
}

// Program is one of the programs that belong to the server of the tests, such as pg_dump, and fit it. Where the
// server has none the test is skipped: bare servers come without, and those of another version do not fit. In CI only where a version
// was asked for: the server that is installed has them, and a skip would hide that it has not.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, there := FindProgram(t, name)
	if !there && os.Getenv("CI") != "" && os.Getenv(majorVariable) == "" {
		t.Fatalf("the server of these tests came without %s: deploy/install.sh installs one that has it", name)
	}
	if !there {
		t.Skipf("the server of these tests came without %s", name)
	}
	return path
}

// FindProgram is Program for tests that can do without.
func FindProgram(t testing.TB, name string) (path string, there bool) {
	t.Helper()
	path = filepath.Join(Server(t).BinDir(), name)
	_, err := os.Stat(path)
	return path, err == nil
}

// OwnServer is a server that this test alone uses and may stop and start, with
// nothing in it. It is as durable as Postgres is by default but for fsync,
// which matters only when the machine itself dies. It is stopped when the test
// ends.
func OwnServer(t testing.TB) *localpg.Server {
	t.Helper()
	major, err := Major()
	require.NoError(t, err)
	s, err := localpg.Start(bounded(t), localpg.Options{Major: major, Settings: map[string]string{"fsync": "off"}})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	return s
}

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func ownDatabase(t testing.TB, c *cluster, template string) string {
	t.Helper()
	name, err := c.create(bounded(t), template)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, c.drop(ctx, name))
	})
	return c.url(name)
}

// open connects a pool that is closed when the test ends. Closing waits for
// connections that are still in use, without end: a test that leaked one fails.
func open(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := newPool(url)
	require.NoError(t, err)
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() {
			pool.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Errorf("%d connections of the pool are still in use at the end of the test", pool.Stat().AcquiredConns())
		}
	})
	return pool
}
