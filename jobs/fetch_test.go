package jobs

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
	"kvit/watch"
)

func driverOn(pool *pgxpool.Pool) clockDriver {
	return clockDriver{riverpgxv5.New(pool), watch.New(watch.Options{DB: pool, Logger: slog.New(slog.DiscardHandler)}), pool, newRelay()}
}

// jobsOfAllKinds are jobs that differ in what a fetch goes by and in what it writes.
const jobsOfAllKinds = `
	insert into kvit.river_job (kind, args, queue, max_attempts, priority, state, attempt, attempted_at, attempted_by, created_at, scheduled_at, errors, metadata, tags, finalized_at)
	select case when i % 7 = 0 then 'odd_kind' else 'deliver_event' end, jsonb_build_object('event_id', i, 'destination', 'crm'),
	       case when i % 11 = 0 then 'deliver_mail' else 'deliver_crm' end, 5 + i % 3, 1 + i % 4,
	       (case when i % 5 = 0 then 'retryable' when i % 13 = 0 then 'completed' else 'available' end)::kvit.river_job_state,
	       i % 4, case when i % 4 > 0 then now() - interval '1 hour' end,
	       case i % 4 when 0 then null when 1 then '{a}' when 2 then '{a, b, c}' else '{a, b, c, d, e}'::text[] end,
	       '2026-01-01'::timestamptz + i * interval '1 s', now() + case when i % 6 = 0 then interval '1 hour' else i % 9 * interval '-1 s' end,
	       case i % 4 when 0 then null when 3 then array['7', '{"at": "2026-01-02T00:00:00Z", "attempt": 1, "error": "x; not taken", "trace": ""}']::jsonb[]
	            else array['{"at": "2026-01-02T00:00:00Z", "attempt": 1, "error": "x; not taken", "trace": ""}']::jsonb[] end,
	       jsonb_build_object('snoozes', i), '{tag}', case when i % 13 = 0 and i % 5 <> 0 then now() end
	from generate_series(1, 200) i`

// River's driver tests are not published, so that its own statement is the measure: whatever a version of River changes in
// what a fetch chooses, writes or returns, this fails.
func TestFetchIsRivers(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(30 * time.Minute).UTC().Truncate(time.Microsecond)
	for name, params := range map[string]riverdriver.JobGetAvailableParams{
		"Some":    {MaxToLock: 17},
		"All":     {MaxToLock: 1000},
		"Kind":    {MaxToLock: 1000, Kind: []string{"odd_kind"}},
		"NoKind":  {MaxToLock: 1000, Kind: []string{}},
		"AnyTime": {MaxToLock: 1000, Now: &at},
		"Names":   {MaxToLock: 1000, MaxAttemptedBy: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := storetest.DB(t)
			_, err := pool.Exec(t.Context(), jobsOfAllKinds)
			require.NoError(t, err)
			params.ClientID, params.Queue, params.Schema = "we", "deliver_crm", Schema
			if params.MaxAttemptedBy == 0 {
				params.MaxAttemptedBy = 100
			}
			rivers, riversRows := fetchAndUndo(t, pool, &params, func(e riverdriver.Executor, _ pgx.Tx) riverdriver.Executor { return e })
			ours, oursRows := fetchAndUndo(t, pool, &params, func(e riverdriver.Executor, tx pgx.Tx) riverdriver.Executor {
				return clockExecutor{Executor: e, db: tx, relay: newRelay()}
			})
			require.Equal(t, riversRows, oursRows, "what is written")
			require.Equal(t, withoutShown(rivers), ours, "what is returned, without what only pages show")
		})
	}
}

// fetchAndUndo returns what an executor fetched that is made of River's, and the jobs as they were then.
func fetchAndUndo(t *testing.T, pool *pgxpool.Pool, params *riverdriver.JobGetAvailableParams, made func(riverdriver.Executor, pgx.Tx) riverdriver.Executor) (jobs []*rivertype.JobRow, rows []string) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	result, err := made(riverpgxv5.New(nil).UnwrapExecutor(tx), tx).JobGetAvailable(t.Context(), params)
	require.NoError(t, err)
	require.Empty(t, result.DecodeErrors)
	for _, j := range result.Jobs {
		require.WithinDuration(t, time.Now(), *j.AttemptedAt, time.Hour)
		j.AttemptedAt = nil
	}
	slices.SortFunc(result.Jobs, func(a, b *rivertype.JobRow) int { return int(a.ID - b.ID) })
	found, _ := tx.Query(t.Context(), `select to_jsonb(j) - 'attempted_at' || jsonb_build_object('attempted', attempted_at > now() - interval '1 minute') from kvit.river_job j order by id`)
	rows, err = pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	return result.Jobs, rows
}

func withoutShown(jobs []*rivertype.JobRow) []*rivertype.JobRow {
	list := []*rivertype.JobRow{}
	for _, j := range jobs {
		row := *j
		row.AttemptedBy, row.Tags, row.UniqueKey, row.UniqueStates = nil, nil, nil, nil
		list = append(list, &row)
	}
	return list
}

// Events come along with the first attempt at a job of their own destination. All others are loaded when it is known that
// the job is ours: an attempt before may have left a receipt meanwhile.
func TestEventsComeAlongWithTheirJobs(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	syncCRM(t, pool)
	for i := range 5 {
		insertEvent(t, pool, fmt.Sprintf("order_paid:E%d", i))
	}
	ids := scan[[]int64](t, pool, `select array_agg(id order by id) from kvit.river_job`)
	for i, change := range map[int]string{
		1: `attempt = 1`,
		2: `errors = array['{"at": "2026-01-02T00:00:00Z", "attempt": 1, "error": "x", "trace": ""}']::jsonb[]`,
		3: `args = jsonb_set(args, '{destination}', '"mail"')`,
		4: `args = jsonb_set(args, '{event_id}', '0')`,
	} {
		_, err := pool.Exec(t.Context(), `update kvit.river_job set `+change+` where id = $1`, ids[i])
		require.NoError(t, err)
	}
	executor := driverOn(pool).GetExecutor().(clockExecutor) //nolint:forcetypeassert // it has one
	result, err := executor.JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{ClientID: "we", MaxAttemptedBy: 100, MaxToLock: 10, Queue: "deliver_crm", Schema: Schema})
	require.NoError(t, err)
	require.Len(t, result.Jobs, 5)
	event := executor.loaded.take(ids[0])
	stored, err := store.Events(t.Context(), pool, "crm", []int64{event.ID}, 1000)
	require.NoError(t, err)
	require.Equal(t, stored[0], *event)
	require.Empty(t, executor.loaded.events, "of the others, and of those that were taken")
}
