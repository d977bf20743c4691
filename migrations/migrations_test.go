package migrations_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"kvit/migrations"
	"kvit/store/storetest"
)

func TestMain(m *testing.M) { storetest.Run(m) }

var quiet = slog.New(slog.DiscardHandler)

func TestUpTwiceAppliesOnce(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), storetest.Empty(t)

	first, err := migrations.Up(ctx, pool, quiet)
	require.NoError(t, err)
	require.Equal(t, "001_schema", first[0])
	require.Contains(t, first[1], "river_001", "River's tables come before those that refer to them")

	second, err := migrations.Up(ctx, pool, quiet)
	require.NoError(t, err)
	require.Empty(t, second)
	require.NoError(t, migrations.Check(ctx, pool))
}

func TestUpFromTwoProcessesAtOnce(t *testing.T) {
	t.Parallel()
	pool := storetest.Empty(t)
	applied := make([][]string, 4)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range applied {
		group.Go(func() (err error) {
			applied[i], err = migrations.Up(ctx, pool, quiet)
			return err
		})
	}
	require.NoError(t, group.Wait())
	winners := 0
	for _, names := range applied {
		if len(names) > 0 {
			winners++
		}
	}
	require.Equal(t, 1, winners, "one process migrates, the others find nothing to do")
}

func TestCheckNamesTheCure(t *testing.T) {
	t.Parallel()
	err := migrations.Check(t.Context(), storetest.Empty(t))
	require.ErrorIs(t, err, migrations.ErrOldSchema)
	require.ErrorContains(t, err, "kvit migrate up")
}

func TestStatusTellsWhatIsPending(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), storetest.Empty(t)
	before, err := migrations.Status(ctx, pool)
	require.NoError(t, err)
	for _, m := range before {
		require.Nil(t, m.AppliedAt, m.Name)
	}
	_, err = migrations.Up(ctx, pool, quiet)
	require.NoError(t, err)
	after, err := migrations.Status(ctx, pool)
	require.NoError(t, err)
	require.Len(t, after, len(before))
	for _, m := range after {
		require.NotNil(t, m.AppliedAt, m.Name)
	}
}

// The rights of the three roles are exactly those that users are told of.
func TestRolesHaveExactlyTheirRights(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), storetest.DB(t)
	for _, c := range []struct {
		role, statement string
		allowed         bool
	}{
		{"kvit_shop", `insert into kvit.tracking_event (event_key, name) values ('order_paid:E1', 'order_paid')`, true},
		{"kvit_shop", `insert into kvit.tracking_event (event_key, name) values ('order_paid:E1', 'order_paid') returning id`, true},
		{"kvit_shop", `insert into kvit.tracking_event (event_key, name) values ('order_paid:E1', 'order_paid') returning event_key`, false},
		{"kvit_shop", `select kvit.track('order_paid:E1', 'order_paid')`, true},
		{"kvit_shop", `select event_key from kvit.tracking_event`, false},
		{"kvit_shop", `select payload from kvit.tracking_event`, false},
		{"kvit_shop", `insert into kvit.event (event_key, name, occurred_at, consent) values ('a', 'search', now(), '{}')`, false},
		{"kvit_shop", `insert into kvit.erp_receipt (order_ref) values ('E1')`, false},
		{"kvit_shop", `select id from kvit.river_job`, false},
		{"kvit_shop", `update kvit.tracking_event set payload = null`, false},
		{"kvit_shop", `delete from kvit.tracking_event`, false},
		{"kvit_erp", `insert into kvit.erp_receipt (order_ref, erp_order_number, imported_at, source) values ('E1', 'SO-1', now(), 'test')`, true},
		{"kvit_erp", `insert into kvit.erp_receipt (order_ref, status) values ('E1', 'marked')`, false},
		{"kvit_erp", `insert into kvit.tracking_event (event_key, name) values ('order_paid:E1', 'order_paid')`, false},
		{"kvit_erp", `select kvit.track('order_paid:E1', 'order_paid')`, false},
		{"kvit_erp", `select order_ref from kvit.erp_receipt`, false},
		{"kvit_ops", `select id, event_key, name, occurred_at, order_ref, consent, received_at, erased_at from kvit.tracking_event`, true},
		{"kvit_ops", `select payload from kvit.tracking_event`, false},
		{"kvit_ops", `select payload from kvit.event`, false},
		{"kvit_ops", `select * from kvit.delivery, kvit.delivery_status, kvit.erp_receipt, kvit.legal_hold, kvit.erasure_certificate, kvit.destination, kvit.erasure_task, kvit.erasure_residue, kvit.river_job, kvit.river_queue`, true},
		{"kvit_ops", `insert into kvit.tracking_event (event_key, name) values ('order_paid:E1', 'order_paid')`, false},
		{"kvit_ops", `delete from kvit.legal_hold`, false},
		{"kvit_ops", `update kvit.erasure_task set closed_at = now(), closed_by = 'anna'`, false},
	} {
		tx, err := pool.Begin(ctx)
		require.NoError(t, err)
		_, err = tx.Exec(ctx, `set local role `+c.role)
		require.NoError(t, err)
		_, err = tx.Exec(ctx, c.statement)
		if c.allowed {
			require.NoError(t, err, "%s: %s", c.role, c.statement)
		} else {
			require.ErrorContains(t, err, "permission denied", "%s: %s", c.role, c.statement)
		}
		require.NoError(t, tx.Rollback(context.WithoutCancel(ctx)))
	}
}

func TestCertificatesAreAppendOnly(t *testing.T) {
	t.Parallel()
	for _, change := range []string{`update kvit.erasure_certificate set order_ref = 'E2'`, `delete from kvit.erasure_certificate`} {
		ctx, tx := t.Context(), storetest.Tx(t)
		_, err := tx.Exec(ctx, `
			insert into kvit.erasure_certificate (number, order_ref, erased_at, erp_imported_at, policy_hash, row_counts, previous_hash, hash)
			values (1, 'E1', now(), now(), 'p', '{}', '0', '1')`)
		require.NoError(t, err)
		_, err = tx.Exec(ctx, change)
		require.ErrorContains(t, err, "append only")
	}
}
