package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// A role without a grant keeps kvit neither from erasing nor from migrating, whatever it locks.
func TestLocksOfStrangersKeepNothingFromWorking(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	conn := storetest.Stranger(t, pool)
	_, err := conn.Exec(t.Context(), `
		select pg_advisory_lock(hashtext('kvit.' || name)) from unnest(array['erasure', 'erasure_run', 'order_status', 'action:crm']) l (name);
		select pg_advisory_lock(x'6b766974'::bigint)`)
	require.NoError(t, err)
	for _, name := range []string{"erasure", "erasure_run", "order_status", "actions", "migration"} {
		for _, statement := range []string{"lock table kvit.lock_" + name + " in exclusive mode", "select kvit.take_lock('" + name + "', 0)"} {
			err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), statement)
				return err
			})
			require.ErrorContains(t, err, "permission denied", statement)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for what, lock := range map[string]func(pgx.Tx) error{
		"erasure": func(tx pgx.Tx) error { return store.LockErasure(ctx, tx) },
		"run":     func(tx pgx.Tx) error { return store.LockErasureRun(ctx, tx) },
	} {
		require.NoError(t, pgx.BeginFunc(ctx, pool, lock), what)
	}
	require.NoError(t, store.SyncOrderStatus(ctx, pool, store.Orders{Table: "public.orders", Ref: "ref", PlacedAt: "at", AwaitingImport: "true"}))
	_, err = store.AddHold(ctx, pool, nil, store.Hold{OrderRef: "E1", Reason: "a case", PlacedBy: "anna"})
	require.NoError(t, err)
}

func TestWhoeverHoldsALockIsNamed(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	holder, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }()
	require.NoError(t, store.LockErasureRun(t.Context(), holder))
	require.NoError(t, store.LockErasure(t.Context(), holder))
	pid, err := store.BackendPID(t.Context(), holder)
	require.NoError(t, err)

	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return store.LockErasureRun(t.Context(), tx) })
	require.ErrorIs(t, err, store.ErrRunning)
	require.ErrorContains(t, err, "server process "+fmt.Sprint(pid))

	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return store.TakeLock(t.Context(), tx, "erasure", 50*time.Millisecond) })
	var held *store.HeldError
	require.ErrorAs(t, err, &held)
	require.EqualValues(t, pid, held.PID)
	require.Contains(t, store.Describe(err), "server process "+fmt.Sprint(pid))
	require.False(t, store.IsConnection(err))
}

// A run may last for hours: it must not keep the shop's tables from being vacuumed.
func TestTheLockOfARunHoldsNoVacuumBack(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	holder, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }()
	pid, err := store.BackendPID(t.Context(), holder)
	require.NoError(t, err)
	require.NoError(t, store.LockErasureRun(t.Context(), holder))
	var holds bool
	require.NoError(t, pool.QueryRow(t.Context(), `
		select backend_xid is not null or backend_xmin is not null from pg_stat_activity where pid = $1`, pid).Scan(&holds))
	require.False(t, holds)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = pool.Exec(ctx, `vacuum`)
	require.NoError(t, err, "nor does a vacuum of everything wait for it")
}

// A process that is frozen in a batch, or whose machine has vanished, must not keep the shop waiting.
func TestWhoeverLocksTheShopsRowsIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	_, err := pool.Exec(t.Context(), `create table public.orders (ref text primary key, at timestamptz, imported timestamptz, erp text, erased timestamptz); insert into public.orders (ref) values ('erasure'), ('marks')`)
	require.NoError(t, err)
	orders := store.Orders{Table: "public.orders", Ref: "ref", PlacedAt: "at", ImportedAt: "imported", ERPNumber: "erp", ErasedAt: "erased", AwaitingImport: "true"}
	for what, lock := range map[string]func(pgx.Tx) error{
		"erasure": func(tx pgx.Tx) error { return store.LockErasure(t.Context(), tx) },
		"marks": func(tx pgx.Tx) error {
			_, err := store.LockOrders(t.Context(), tx, orders, []string{"marks"})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			frozen, err := pool.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = frozen.Rollback(context.WithoutCancel(t.Context())) }()
			require.NoError(t, lock(frozen))
			_, err = frozen.Exec(t.Context(), `update public.orders set erp = 'SO-1' where ref = $1`, what)
			require.NoError(t, err)
			patient, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err = pool.Exec(patient, `update public.orders set at = now() where ref = $1`, what)
			require.NoError(t, err, "the shop goes on")
			_, err = frozen.Exec(t.Context(), `select 1`)
			require.True(t, store.IsConnection(err), "another connection may do it: %v", err)
		})
	}
}
