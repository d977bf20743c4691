package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/status"
	"kvit/store/localpg"
	"kvit/store/storetest"
)

// replicated is an installation with a replica to read from, and both servers.
type replicated struct {
	*kvit
	urlFile              string // holds database.read_url
	onPrimary, onReplica *pgxpool.Pool
	primary              *localpg.Server
}

func installReplicated(t *testing.T) *replicated {
	t.Helper()
	primary := storetest.OwnServer(t)
	replica, err := primary.Replica(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, replica.Stop(ctx))
	})
	r := &replicated{kvit: install(t, primary.URL("postgres"), ""), urlFile: filepath.Join(t.TempDir(), "url"), primary: primary}
	r.readFrom(replica.URL("postgres"))
	r.maxLag("1s")
	r.mustCall("migrate", "up")
	r.onPrimary = r.pool()
	r.onReplica, err = pgxpool.New(t.Context(), replica.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(r.onReplica.Close)
	return r
}

func (r *replicated) readFrom(url string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(r.urlFile, []byte(url), 0o600))
}

func (r *replicated) maxLag(lag string) {
	r.t.Helper()
	r.write(fmt.Sprintf(`
database: {url: "${DATABASE_URL}", read_url: "file:%s", read_max_lag: %s}
ops: {listen: "%%ADDRESS%%"}
destinations:
  crm: {kind: webhook, url: "http://127.0.0.1:9/", secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}
`, r.urlFile, lag))
}

func (r *replicated) exec(pool *pgxpool.Pool, sql string) {
	r.t.Helper()
	_, err := pool.Exec(r.t.Context(), sql)
	require.NoError(r.t, err)
}

// shown is what kvit status shows: how many events wait, and where that was read.
func (r *replicated) shown() (pending int64, reads status.Reads) {
	r.t.Helper()
	var s status.Status
	require.NoError(r.t, json.Unmarshal([]byte(r.mustCall("status", "--json")), &s))
	require.Len(r.t, s.Destinations, 1)
	require.NotNil(r.t, s.Reads)
	return s.Destinations[0].Pending, *s.Reads
}

// Status comes from the replica, and says so; from one that is too far behind it does not, and says that.
func TestStatusIsReadFromTheReplica(t *testing.T) {
	t.Parallel()
	r := installReplicated(t)
	require.Eventually(t, func() bool {
		_, reads := r.shown()
		return reads.From == "replica" && reads.Problem == "" && reads.Lag != nil
	}, waitFor, tick)
	require.Contains(t, r.mustCall("status"), "read from the replica")
	require.Contains(t, r.mustCall("check", "--offline"), "ok")

	r.exec(r.onReplica, `select pg_wal_replay_pause()`)
	r.exec(r.onPrimary, `insert into kvit.tracking_event (event_key, name) values ('search:1', 'search')`)
	require.Eventually(t, func() bool {
		pending, reads := r.shown()
		return reads.From == "primary" && strings.Contains(reads.Problem, "behind, more than 1s") && pending == 1
	}, waitFor, tick, "no number is older than the limit")
	require.Contains(t, r.mustCall("status"), "READ REPLICA NOT READ")
	code, stdout, _ := r.call("check", "--offline")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "problem: database.read_url: it is ")

	r.maxLag("5m")
	pending, reads := r.shown()
	require.Zero(t, pending, "the replica has no event yet")
	require.Equal(t, "replica", reads.From)
	require.Greater(t, *reads.Lag, 1.0)
}

// Metrics tell where they come from, and a daemon outlives its replica.
func TestMetricsAreReadFromTheReplica(t *testing.T) {
	t.Parallel()
	r := installReplicated(t)
	r.exec(r.onPrimary, `update kvit.destination set enabled = false`)
	r.start()
	r.waitReady()
	used := func(value string) func() bool {
		return func() bool {
			_, metrics := r.get("/metrics")
			return strings.Contains(metrics, "\nkvit_read_replica_used "+value+"\n") && strings.Contains(metrics, "kvit_pending{")
		}
	}
	require.Eventually(t, used("1"), waitFor, tick)
	_, metrics := r.get("/metrics")
	require.Contains(t, metrics, "kvit_read_replica_lag_seconds ")
	require.Eventually(t, func() bool {
		return count(t, r.onReplica, `select count(*) from pg_stat_activity where application_name = 'kvit'`) > 0
	}, waitFor, tick)
	require.NotContains(t, r.log.String(), "the replica is not read")

	r.exec(r.onReplica, `select pg_wal_replay_pause()`)
	r.exec(r.onPrimary, `create table public.news as select 1 as one`)
	require.Eventually(t, used("0"), waitFor, tick)
	require.Contains(t, r.log.String(), "the replica is not read")
	r.exec(r.onReplica, `select pg_wal_replay_resume()`)
	require.Eventually(t, used("1"), waitFor, tick)
}

// What is no replica of the shop's database fails the check, whatever it is.
func TestCheckRefusesWhatIsNoReplica(t *testing.T) {
	t.Parallel()
	r := installReplicated(t)
	for name, c := range map[string]struct{ url, problem string }{
		"Primary": {r.primary.URL("postgres"), "it leads to the primary itself"},
		"Other":   {storetest.OwnServer(t).URL("postgres"), "it belongs to another cluster"},
		"Nowhere": {"postgres://nobody@127.0.0.1:1/postgres", "database cannot be reached"},
	} {
		r.readFrom(c.url)
		code, stdout, _ := r.call("check", "--offline")
		require.Equal(t, 1, code, name)
		require.Contains(t, stdout, "problem: database.read_url: "+c.problem, name)
	}
}
