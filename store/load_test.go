package store_test

import (
	"context"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/localpg"
	"kvit/store/storetest"
)

const (
	loadWait = time.Minute
	loadTick = 10 * time.Millisecond
)

// connect gives a connection that is closed when the test ends.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

func mustExec(t *testing.T, db store.DB, statement string, args ...any) {
	t.Helper()
	_, err := db.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

// as gives a connection of a new user without any rights.
func as(t *testing.T, owner store.DB, serverURL, user string) *pgx.Conn {
	t.Helper()
	mustExec(t, owner, `create role `+user+` login password 'example-only'`)
	u, err := url.Parse(serverURL)
	require.NoError(t, err)
	u.User = url.UserPassword(user, "example-only")
	return connect(t, u.String())
}

// replicaOf starts a replica that reports as often as it can, and waits until the primary knows of it.
func replicaOf(t *testing.T, primary *localpg.Server, db store.DB, name string) *localpg.Server {
	t.Helper()
	storetest.Program(t, "pg_basebackup")
	replica, err := primary.Replica(t.Context(), map[string]string{"wal_receiver_status_interval": "1s", "cluster_name": name})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), loadWait)
		defer cancel()
		require.NoError(t, replica.Stop(ctx))
	})
	eventually(t, db, `select count(*) = 1 from pg_stat_replication where application_name = '`+name+`' and state = 'streaming'`)
	return replica
}

func eventually(t *testing.T, db store.DB, condition string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var holds bool
		return db.QueryRow(t.Context(), condition).Scan(&holds) == nil && holds
	}, loadWait, loadTick, condition)
}

func lagOf(t *testing.T, db store.DB) time.Duration {
	t.Helper()
	lag, known, err := store.ReplicaLag(t.Context(), db)
	require.NoError(t, err)
	require.True(t, known)
	return lag
}

func TestReplicaLag(t *testing.T) {
	t.Parallel()
	primary := storetest.OwnServer(t)
	db := connect(t, primary.URL("postgres"))
	stranger := as(t, db, primary.URL("postgres"), "stranger")
	require.Zero(t, lagOf(t, db), "without a replica")
	require.Zero(t, lagOf(t, stranger), "that there is none is known to everybody")

	long := connect(t, primary.URL("postgres"))
	mustExec(t, long, `begin`)
	require.Zero(t, lagOf(t, long))

	replica := connect(t, replicaOf(t, primary, db, "late").URL("postgres"))
	_, known, err := store.ReplicaLag(t.Context(), stranger)
	require.NoError(t, err)
	require.False(t, known, "how far it is behind is not")
	mustExec(t, db, `grant pg_monitor to stranger`)
	require.Less(t, lagOf(t, stranger), time.Minute)

	mustExec(t, replica, `select pg_wal_replay_pause()`)
	eventually(t, replica, `select pg_get_wal_replay_pause_state() = 'paused'`)
	mustExec(t, db, `create table written ()`)
	require.Eventually(t, func() bool { return lagOf(t, db) > 1500*time.Millisecond }, loadWait, loadTick, "it grows while nothing is replayed")
	require.Greater(t, lagOf(t, stranger), 1500*time.Millisecond)
	require.Greater(t, lagOf(t, long), 1500*time.Millisecond, "to a transaction that has asked before it came")

	replicaOf(t, primary, db, "prompt")
	mustExec(t, db, `insert into written default values`)
	eventually(t, db, `select min(replay_lag) < '1s' from pg_stat_replication where application_name = 'prompt'`)
	require.Greater(t, lagOf(t, db), 1500*time.Millisecond, "the one that is further behind counts")

	mustExec(t, replica, `select pg_wal_replay_resume()`)
	require.Eventually(t, func() bool { return lagOf(t, db) == 0 }, loadWait, loadTick, "an idle replica that has caught up")
}

// Neither is a replica, and both would keep the erasure waiting for ever.
func TestReplicaLagLeavesOutWhatTakesNoReads(t *testing.T) {
	t.Parallel()
	storetest.Program(t, "pg_receivewal")
	major, err := storetest.Major()
	require.NoError(t, err)
	primary, err := localpg.Start(t.Context(), localpg.Options{Major: major, Settings: map[string]string{"fsync": "off", "wal_level": "logical"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, primary.Stop(context.Background())) })
	db := connect(t, primary.URL("postgres"))
	mustExec(t, db, `create table written (at timestamptz)`)

	keep(t, primary, "pg_receivewal", "--directory", t.TempDir(), "--status-interval", "1")
	warehouse := subscribed(t, primary, db)
	mustExec(t, warehouse, `begin; lock table written`)
	mustExec(t, db, `insert into written values (now())`)
	eventually(t, db, `select count(*) = 1 from pg_locks where not granted and now() - waitstart > '1.5s'`)
	mustExec(t, warehouse, `rollback`)
	for _, name := range []string{"pg_receivewal", "warehouse"} {
		eventually(t, db, `select count(*) = 1 from pg_stat_replication where replay_lag > '1s' and application_name = '`+name+`'`)
		require.Zero(t, lagOf(t, db), name)
	}
}

// subscribed gives a database that gets the table by logical replication.
func subscribed(t *testing.T, s *localpg.Server, db store.DB) *pgx.Conn {
	t.Helper()
	mustExec(t, db, `create database warehouse`)
	mustExec(t, db, `create publication warehouse for table written`)
	mustExec(t, db, `select pg_create_logical_replication_slot('warehouse', 'pgoutput')`)
	warehouse := connect(t, s.URL("warehouse"))
	mustExec(t, warehouse, `create table written (at timestamptz)`)
	mustExec(t, warehouse, `create subscription warehouse connection '`+s.URL("postgres")+`' publication warehouse
		with (create_slot = false, slot_name = 'warehouse', copy_data = false)`)
	eventually(t, db, `select count(*) = 1 from pg_stat_replication where state = 'streaming' and application_name = 'warehouse'`)
	return warehouse
}

// keep runs a program that copies the server's log, until the test ends.
func keep(t *testing.T, s *localpg.Server, program string, args ...string) {
	t.Helper()
	u, err := url.Parse(s.URL("postgres"))
	require.NoError(t, err)
	password, _ := u.User.Password()
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.BinDir(), program),
		append(args, "--host", u.Hostname(), "--port", u.Port(), "--username", u.User.Username(), "--no-password")...)
	cmd.Env = []string{"PGPASSWORD=" + password, "PGAPPNAME=" + program}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func waitersOn(t *testing.T, db store.DB, conn *pgx.Conn) int {
	t.Helper()
	n, err := store.WaitersOn(t.Context(), db, conn.PgConn().PID())
	require.NoError(t, err)
	return n
}

func TestWaitersOn(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	url := pool.Config().ConnString()
	mustExec(t, pool, `create table public.orders (ref integer primary key, status text); insert into public.orders values (1, 'paid'), (2, 'paid')`)
	holder, other := connect(t, url), connect(t, url)
	mustExec(t, holder, `begin; update public.orders set status = 'erased' where ref = 1; lock table kvit.lock_erasure in exclusive mode`)
	mustExec(t, other, `begin; update public.orders set status = 'erased' where ref = 2`)
	require.Zero(t, waitersOn(t, pool, holder))

	ended := make(chan error, 3)
	wait := func(statement string) {
		conn := connect(t, url)
		go func() {
			_, err := conn.Exec(t.Context(), statement)
			ended <- err
		}()
	}
	waiting := func(n int, on *pgx.Conn) func() bool {
		return func() bool { return waitersOn(t, pool, on) == n }
	}
	wait(`begin; lock table kvit.lock_erasure in exclusive mode; rollback`)
	eventually(t, pool, `select count(*) = 1 from pg_locks where not granted and relation = 'kvit.lock_erasure'::regclass
		and database = (select oid from pg_database where datname = current_database())`)
	require.Zero(t, waitersOn(t, pool, holder), "for kvit's own locks waits kvit alone")

	wait(`update public.orders set status = 'shipped' where ref = 1`)
	require.Eventually(t, waiting(1, holder), loadWait, loadTick)
	require.Zero(t, waitersOn(t, pool, other), "the holder of another row")
	wait(`begin; lock table public.orders in share mode; rollback`)
	require.Eventually(t, waiting(2, holder), loadWait, loadTick)
	require.Eventually(t, waiting(1, other), loadWait, loadTick)

	mustExec(t, other, `rollback`)
	mustExec(t, holder, `rollback`)
	require.Zero(t, waitersOn(t, pool, holder))
	for range 3 {
		require.NoError(t, <-ended)
	}
}

// A batch that queues for a table makes those wait who come after it.
func TestWaitersOnASessionThatQueues(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	url := pool.Config().ConnString()
	mustExec(t, pool, `create table public.orders (ref integer)`)
	shop, batch := connect(t, url), connect(t, url)
	mustExec(t, shop, `begin; insert into public.orders values (1)`)
	ended := make(chan error, 2)
	run := func(conn *pgx.Conn, statement string) {
		go func() {
			_, err := conn.Exec(t.Context(), statement)
			ended <- err
		}()
	}
	run(batch, `begin; lock table public.orders in share mode; rollback`)
	eventually(t, pool, `select count(*) = 1 from pg_locks where not granted and relation = 'public.orders'::regclass`)
	run(connect(t, url), `insert into public.orders values (2)`)
	require.Eventually(t, func() bool { return waitersOn(t, pool, batch) == 1 }, loadWait, loadTick)

	mustExec(t, shop, `rollback`)
	for range 2 {
		require.NoError(t, <-ended)
	}
}

func TestWaitersOnForAnyUser(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	url := pool.Config().ConnString()
	mustExec(t, pool, `create table public.orders (ref integer)`)
	stranger, holder, waiter := connect(t, url), connect(t, url), connect(t, url)
	mustExec(t, stranger, `set role kvit_shop`)
	mustExec(t, holder, `begin; lock table public.orders`)
	ended := make(chan error, 1)
	go func() {
		_, err := waiter.Exec(t.Context(), `insert into public.orders values (1)`)
		ended <- err
	}()
	require.Eventually(t, func() bool { return waitersOn(t, stranger, holder) == 1 }, loadWait, loadTick)
	mustExec(t, holder, `rollback`)
	require.NoError(t, <-ended)
}

// A transaction that lasts sees what others do meanwhile.
func TestTransactions(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	before, err := store.Transactions(t.Context(), tx)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := db.Exec(t.Context(), `select 1`) // a session tells of its own once a second at most
		require.NoError(t, err)
		now, err := store.Transactions(t.Context(), tx)
		require.NoError(t, err)
		return now >= before+10
	}, 20*time.Second, 20*time.Millisecond)
}
