package migrations_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/migrations"
	"kvit/store/storetest"
)

const insertEvent = `insert into kvit.tracking_event (event_key, name) values ($1, 'order_paid')`

// idleShop is a transaction of the shop's that has inserted an event and does no more.
func idleShop(t *testing.T, pool *pgxpool.Pool) (tx pgx.Tx, pid int) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	_, err = tx.Exec(t.Context(), insertEvent, "order_paid:idle")
	require.NoError(t, err)
	require.NoError(t, tx.QueryRow(t.Context(), `select pg_backend_pid()`).Scan(&pid))
	return tx, pid
}

func TestChangesGiveWayToTheShopAndNameWhoIsInTheWay(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	_, pid := idleShop(t, pool)
	err := migrations.Change(t.Context(), pool, quiet, `alter table kvit.event add column extra text`, 300*time.Millisecond, time.Millisecond, 2)
	var held *migrations.HeldError
	require.ErrorAs(t, err, &held)
	require.ErrorContains(t, err, fmt.Sprintf("the change waits for a lock that is held by server process %d (role ", pid))
	require.ErrorContains(t, err, "idle in transaction since ")
}

func TestChangesAreMadeOnceNobodyIsInTheWay(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	shop, pid := idleShop(t, pool)
	var log lines
	done := make(chan error, 1)
	go func() {
		done <- migrations.Change(t.Context(), pool, slog.New(slog.NewTextHandler(&log, nil)), `alter table kvit.event add column extra text`,
			time.Second, 100*time.Millisecond, 100)
	}()
	require.Eventually(t, func() bool { return log.contains(fmt.Sprintf("server process %d ", pid)) }, time.Minute, 20*time.Millisecond)
	// Checkouts wait behind the change, but no longer than it waits itself.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range 20 {
		_, err := pool.Exec(ctx, insertEvent, fmt.Sprintf("order_paid:%d", i))
		require.NoError(t, err)
	}
	require.NoError(t, shop.Commit(t.Context()))
	require.NoError(t, <-done)
}

// One that has stopped in the middle, such as a process whose pooler keeps its session, keeps no other hanging.
func TestUpNamesWhoMigrates(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	other, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = other.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = other.Exec(t.Context(), `lock table kvit.lock_migration in exclusive mode`)
	require.NoError(t, err)
	_, err = migrations.UpPatiently(t.Context(), pool, quiet, 300*time.Millisecond, time.Millisecond, 2)
	require.ErrorContains(t, err, fmt.Sprintf("kvit migrate up waits for a lock that is held by server process %d ", other.Conn().PgConn().PID()))
}

// A later "create or replace" of the function forgets its settings, of which this one is worth a fifth of the shop's insert (022_plans.sql).
func TestTheInsertKeepsItsPlan(t *testing.T) {
	t.Parallel()
	var settings []string
	require.NoError(t, storetest.DB(t).QueryRow(t.Context(), `select proconfig from pg_proc where oid = 'kvit.insert_tracking_event()'::regprocedure`).Scan(&settings))
	require.Contains(t, settings, "plan_cache_mode=force_generic_plan")
}

func TestNothingIsFoundByASearchPath(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	err := migrations.Patiently(t.Context(), pool, quiet, "the change", func(tx pgx.Tx) error {
		var path, timeout string
		err := tx.QueryRow(t.Context(), `select current_setting('search_path'), current_setting('lock_timeout')`).Scan(&path, &timeout)
		require.NoError(t, err)
		require.Equal(t, "pg_catalog, pg_temp 1s", path+" "+timeout)
		return nil
	})
	require.NoError(t, err)
}

// lines collects what is logged.
type lines struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *lines) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.buffer.Bytes(), []byte(text))
}
