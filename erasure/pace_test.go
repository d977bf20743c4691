package erasure

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
)

// What a batch does before it locks anything makes no batch smaller: it would take as long for one order.
func TestBatchesAreMeasuredByWhatTheyLock(t *testing.T) {
	t.Parallel()
	size := newBatchSize(1000, 200*time.Millisecond)
	size.begins()
	size.ended(20, time.Now().Add(-time.Hour))
	require.Equal(t, 40, size.orders)
	require.GreaterOrEqual(t, size.last, time.Hour, "a shop at work is spared for the whole of it")

	size = newBatchSize(1000, 200*time.Millisecond)
	size.held = time.Now().Add(-2 * time.Hour) // of a batch before
	size.ended(20, time.Now().Add(-time.Hour))
	require.Equal(t, 10, size.orders, "this one did not say when it began to lock")
}

// The policy is judged once, and anew as soon as the catalog says something else.
func TestFitIsJudgedByTheCatalogOfNow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	r := s.newRun(time.Time{})
	fit := func() (plan erasePlan) {
		require.NoError(t, pgx.BeginFunc(t.Context(), s.db, func(tx pgx.Tx) (err error) {
			plan, err = r.fit(t.Context(), tx)
			return err
		}))
		return plan
	}
	whole := fit()
	require.False(t, whole.waiting)
	first := r.fitted
	whole.erasures[0].Again = true
	whole.erasures[1] = policy.TableErasure{}
	again := fit()
	require.Same(t, first, r.fitted)
	require.Len(t, again.erasures, len(whole.erasures))
	require.False(t, again.erasures[0].Again, "what one batch does to its plan is no other's")
	require.NotEmpty(t, again.erasures[1].Table)

	s.exec(`alter table public.payments add column card_holder text`)
	less := fit()
	require.True(t, less.waiting)
	require.Less(t, len(less.erasures), len(whole.erasures))
	require.NotEmpty(t, r.misfit)
	require.Len(t, r.report.Blocked, 1)
	s.exec(`alter table public.payments drop column card_holder`)
	require.False(t, fit().waiting)
	require.Empty(t, r.misfit)
	require.Empty(t, r.report.Blocked)
}
