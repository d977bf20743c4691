package store

import (
	"context"
	"fmt"
	"time"
)

// ReplicaLag tells how far the furthest streaming replica of this server is behind in replaying; 0 if
// there is none, or if all have caught up. known is false if the user may not see it: for that it needs
// pg_read_all_stats, which pg_monitor holds.
//
// A replica that is not connected does not count: Postgres does not know of it. One that is connected
// but silent keeps its last lag until wal_sender_timeout, by default a minute. A replica reports at
// least every wal_receiver_status_interval, by default 10 s, so that a lag which has just ended may
// still be told for twice as long. One that is behind on purpose (recovery_min_apply_delay) looks like
// any other, since that setting is known only to itself.
//
// Logical replication is left out: its subscribers, such as a data warehouse that loads by the hour,
// take no reads of the shop. So are programs that only keep the log, such as pg_receivewal and Barman:
// they never replay, which Postgres counts as a lag that grows without end.
// https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
func ReplicaLag(ctx context.Context, db DB) (lag time.Duration, known bool, err error) {
	// Postgres shows a transaction the same sessions all the time, so that one which asks again would not
	// see replicas that have come since.
	if _, err := db.Exec(ctx, `select pg_stat_clear_snapshot()`); err != nil {
		return 0, false, fmt.Errorf("forget what was read of replicas: %w", err)
	}
	var microseconds int64
	// Without the right all but the process is null. With it state never is.
	err = db.QueryRow(ctx, `
		select (coalesce(extract(epoch from max(r.replay_lag) filter (where r.replay_lsn is not null)), 0) * 1000000)::bigint,
		       count(*) filter (where r.state is null) = 0
		from pg_stat_replication r
		where not exists (select from pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')`,
	).Scan(&microseconds, &known)
	if err != nil {
		return 0, false, fmt.Errorf("read lag of replicas: %w", err)
	}
	return time.Duration(microseconds) * time.Microsecond, known, nil
}

// Transactions counts those that have ended in this database since its statistics began. Sessions tell of
// theirs once a second at most.
func Transactions(ctx context.Context, db DB) (int64, error) {
	if _, err := db.Exec(ctx, `select pg_stat_clear_snapshot()`); err != nil {
		return 0, fmt.Errorf("forget what was read of transactions: %w", err)
	}
	var n int64
	err := db.QueryRow(ctx, `
		select xact_commit + xact_rollback from pg_stat_database where datname = current_database()`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count transactions: %w", err)
	}
	return n, nil
}

// WaitersOn counts the sessions that wait for a lock which the backend with this process id holds, or
// for which it queues before them. A session that waits behind another waiter may not be among them,
// but then that one is. Locks of kvit's own do not count (lock.go): for these only kvit itself waits.
//
// Every user may ask. It costs the server's lock manager a moment for each waiting session, so ask a few
// times a second at most.
func WaitersOn(ctx context.Context, db DB, pid uint32) (int, error) {
	var n int
	err := db.QueryRow(ctx, `
		select count(distinct l.pid)
		from pg_locks l
		where not l.granted and $1::bigint = any (pg_blocking_pids(l.pid))
		  and (l.relation is null or l.relation not in (
		      select c.oid from pg_class c where c.relnamespace = 'kvit'::regnamespace and c.relname like 'lock\_%' and c.relkind = 'v'))`,
		int64(pid)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count sessions that wait: %w", err)
	}
	return n, nil
}
