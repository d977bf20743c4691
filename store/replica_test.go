package store_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/localpg"
	"kvit/store/storetest"
)

const replicaPatience = 30 * time.Second

// pair is a primary, a streaming replica, and reads between them.
type pair struct {
	primary, replica *localpg.Server
	onPrimary        *pgxpool.Pool
	onReplica        *pgxpool.Pool
	reads            *store.Reads
	log              *bytes.Buffer
}

func replicated(t *testing.T, settings map[string]string) *pair {
	t.Helper()
	storetest.Program(t, "pg_basebackup")
	p := &pair{primary: storetest.OwnServer(t), log: &bytes.Buffer{}}
	replica, err := p.primary.Replica(t.Context(), settings)
	require.NoError(t, err)
	p.replica = replica
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, replica.Stop(ctx))
	})
	p.onPrimary = poolOf(t, store.Options{URL: p.primary.URL("postgres"), MaxConnections: 4})
	p.onReplica = poolOf(t, store.Options{URL: replica.URL("postgres"), MaxConnections: 4})
	p.reads = readsOf(t, store.ReadOptions{
		Primary: p.onPrimary, URL: replica.URL("postgres"), MaxLag: 2 * time.Second, Logger: slog.New(slog.NewTextHandler(p.log, nil)),
	})
	return p
}

func poolOf(t *testing.T, o store.Options) *pgxpool.Pool {
	t.Helper()
	pool, err := store.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func readsOf(t *testing.T, o store.ReadOptions) *store.Reads {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	reads, err := store.OpenReads(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(reads.Close)
	return reads
}

// from tells which server answers.
func (p *pair) from(t *testing.T) string {
	t.Helper()
	var replica bool
	require.NoError(t, p.reads.Pool.QueryRow(t.Context(), `select pg_is_in_recovery()`).Scan(&replica))
	if replica {
		return "replica"
	}
	return "primary"
}

// lookUntil looks again and again: the replica needs its moment.
func (p *pair) lookUntil(t *testing.T, from string) (state store.ReadState) {
	t.Helper()
	require.Eventually(t, func() bool {
		state = p.reads.Look(t.Context())
		return state.From == from
	}, replicaPatience, 20*time.Millisecond, "%+v", &state)
	return state
}

func (p *pair) exec(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func TestReadsWithoutReplicaAreThePrimarys(t *testing.T) {
	t.Parallel()
	primary := storetest.DB(t)
	reads := readsOf(t, store.ReadOptions{Primary: primary})
	require.Same(t, primary, reads.Pool)
	require.Equal(t, store.ReadState{From: "primary"}, reads.Look(t.Context()))
	require.False(t, reads.Configured())
}

// A replica is read while it follows, left while it is too far behind, though its connections stay open, and read again.
func TestReadsLeaveAReplicaThatIsBehind(t *testing.T) {
	t.Parallel()
	p := replicated(t, nil)
	require.Equal(t, "primary", p.from(t), "nobody has looked yet")
	state := p.lookUntil(t, "replica")
	require.Less(t, *state.Lag, 2*time.Second)
	require.Equal(t, "replica", p.from(t))
	p.exec(t, p.onPrimary, `create table public.olds as select 1 as one`)
	require.Eventually(t, func() bool { return p.reads.Look(t.Context()).ReplayedAt != nil }, replicaPatience, 20*time.Millisecond)

	p.exec(t, p.onReplica, `select pg_wal_replay_pause()`)
	p.exec(t, p.onPrimary, `create table public.news as select 1 as one`)
	state = p.lookUntil(t, "primary")
	require.Contains(t, state.Problem, "behind, more than 2s")
	require.Greater(t, *state.Lag, 2*time.Second)
	require.NotNil(t, state.ReplayedAt)
	require.Equal(t, "primary", p.from(t))

	p.exec(t, p.onReplica, `select pg_wal_replay_resume()`)
	state = p.lookUntil(t, "replica")
	require.Empty(t, state.Problem)
	require.Equal(t, "replica", p.from(t))
	var news bool
	require.NoError(t, p.reads.Pool.QueryRow(t.Context(), `select to_regclass('public.news') is not null`).Scan(&news))
	require.True(t, news, "what is read is no older than the state says")
	require.Equal(t, 2, strings.Count(p.log.String(), "read from the replica"), p.log)
	require.Equal(t, 1, strings.Count(p.log.String(), "it is 2"), p.log)
}

// A replica that has lost its primary shows an ever older state, and says nothing of it.
func TestReadsLeaveAReplicaThatReceivesNothing(t *testing.T) {
	t.Parallel()
	p := replicated(t, nil)
	p.lookUntil(t, "replica")
	p.exec(t, p.onReplica, `alter system set primary_conninfo = ''`)
	p.exec(t, p.onReplica, `select pg_reload_conf()`)
	require.Eventually(t, func() bool {
		var receives bool
		require.NoError(t, p.onReplica.QueryRow(t.Context(), `select exists (select from pg_stat_wal_receiver)`).Scan(&receives))
		return !receives
	}, replicaPatience, 20*time.Millisecond)
	p.exec(t, p.onPrimary, `create table public.news as select 1 as one`)
	state := p.lookUntil(t, "primary")
	require.Contains(t, state.Problem, "behind")
}

// A replica that is gone: reads go to the primary, whose connections the pool makes, and come back with it.
func TestReadsLeaveAReplicaThatIsAway(t *testing.T) {
	t.Parallel()
	p := replicated(t, nil)
	p.lookUntil(t, "replica")
	require.Equal(t, "replica", p.from(t))
	require.NoError(t, p.replica.StopOnly(t.Context()))
	state := p.lookUntil(t, "primary")
	require.NotEmpty(t, state.Problem)
	require.Equal(t, "primary", p.from(t))
	require.NoError(t, p.replica.StartAgain(t.Context()))
	p.lookUntil(t, "replica")
	require.Equal(t, "replica", p.from(t))
}

// Without the primary nobody can say how old a replica is: it is not read, either.
func TestReadsEndWithThePrimary(t *testing.T) {
	t.Parallel()
	p := replicated(t, nil)
	p.lookUntil(t, "replica")
	require.NoError(t, p.primary.StopOnly(t.Context()))
	state := p.lookUntil(t, "primary")
	require.Contains(t, state.Problem, "it cannot be compared with the primary")
	_, err := p.reads.Pool.Exec(t.Context(), `select 1`)
	require.Error(t, err)
	require.NoError(t, p.primary.StartAgain(t.Context()))
	p.lookUntil(t, "replica")
}

// A replica that has become a server of its own is none any more.
func TestReadsLeaveAReplicaThatWasPromoted(t *testing.T) {
	t.Parallel()
	p := replicated(t, nil)
	p.lookUntil(t, "replica")
	p.exec(t, p.onReplica, `select pg_promote()`)
	state := p.lookUntil(t, "primary")
	require.Equal(t, "it takes writes by itself, so it does not follow the primary", state.Problem)
	require.Equal(t, "primary", p.from(t))
}

// What is not the replica of this database is never read.
func TestReadsRefuseOtherServers(t *testing.T) {
	t.Parallel()
	p := replicated(t, nil)
	p.exec(t, p.onPrimary, `create database other`)
	for name, c := range map[string]struct {
		url     string
		problem string
	}{
		"Primary":       {p.primary.URL("postgres"), "it leads to the primary itself"},
		"OtherCluster":  {storetest.OwnServer(t).URL("postgres"), "it belongs to another cluster"},
		"OtherDatabase": {p.replica.URL("other"), "it leads to the database other, and database.url to postgres"},
		"Nowhere":       {"postgres://nobody@127.0.0.1:1/postgres", "database cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			reads := readsOf(t, store.ReadOptions{Primary: p.onPrimary, URL: c.url, MaxLag: time.Minute})
			require.Eventually(t, func() bool {
				return strings.Contains(reads.Look(t.Context()).Problem, c.problem)
			}, replicaPatience, 20*time.Millisecond)
			require.Equal(t, "primary", reads.State().From)
		})
	}
}
