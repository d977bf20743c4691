package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/destination/webhook/webhooktest"
	"kvit/store/localpg"
	"kvit/store/storetest"
)

// bothHosts is a URL of two servers.
func bothHosts(t *testing.T, first, second *localpg.Server) string {
	t.Helper()
	one, err := url.Parse(first.URL("postgres"))
	require.NoError(t, err)
	two, err := url.Parse(second.URL("postgres"))
	require.NoError(t, err)
	one.Host += "," + two.Host
	one.RawQuery += "&target_session_attrs=read-write"
	return one.String()
}

// The primary turns read only and keeps its connections, and the replica takes its place: kvit says that it is not ready,
// leaves the old server with all its connections, and delivers from the new one.
func TestFailoverThatKeepsConnections(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	old := storetest.OwnServer(t)
	k := install(t, old.URL("postgres"), webhookYAML(server))
	k.mustCall("migrate", "up")
	replica, err := old.Replica(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, replica.Stop(ctx))
	})
	onOld := k.pool()
	k.url = bothHosts(t, old, replica)
	k.start()
	k.waitReady()

	for _, statement := range []string{`alter system set default_transaction_read_only = on`, `select pg_reload_conf()`} {
		_, err = onOld.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		status, body := k.get("/readyz")
		return status == 503 && (strings.Contains(body, "read only") || strings.Contains(body, "cannot be reached"))
	}, waitFor, tick)
	onNew, err := pgxpool.New(t.Context(), replica.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(onNew.Close)
	_, err = onNew.Exec(t.Context(), `select pg_promote()`)
	require.NoError(t, err)
	started := time.Now()
	k.waitReady()
	t.Logf("ready %s after the promotion", time.Since(started))
	_, err = onNew.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, consent) values ('order_paid:E1', 'order_paid', '{"marketing": true}')`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return receiver.Counts().Counted == 1 }, waitFor, tick)
	require.Eventually(t, func() bool {
		return count(t, onOld, `select count(*) from pg_stat_activity where application_name = 'kvit'`) == 0
	}, waitFor, tick, "the LISTEN has left, too")
	require.Less(t, time.Since(started), 30*time.Second)
}

// A server that is alone and read only: kvit is not ready, and is again when that is over.
func TestReadOnlyForAWhile(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), "database: {url: \"${DATABASE_URL}\"}\nops: {listen: \"%ADDRESS%\"}\n")
	k.mustCall("migrate", "up")
	pool := k.pool()
	k.start()
	k.waitReady()
	var name string
	require.NoError(t, pool.QueryRow(t.Context(), `select current_database()`).Scan(&name))
	_, err := pool.Exec(t.Context(), fmt.Sprintf(`alter database %s set default_transaction_read_only = on`, name))
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'kvit' and datname = current_database()`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		status, body := k.get("/readyz")
		return status == 503 && strings.Contains(body, "the database is read only")
	}, waitFor, tick)
	status, _ := k.get("/healthz")
	require.Equal(t, 200, status)
	_, err = pool.Exec(t.Context(), fmt.Sprintf(`set default_transaction_read_only = off; alter database %s reset default_transaction_read_only`, name))
	require.NoError(t, err)
	k.waitReady()
}
