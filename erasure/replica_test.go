package erasure

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/migrations"
	"kvit/store"
	"kvit/store/storetest"
)

// sharedLog may be read while something writes to it.
type sharedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *sharedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *sharedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// replicated is a shop on a server of its own, and a connection to the server's replica.
func replicated(t *testing.T) (*shop, *pgx.Conn) {
	t.Helper()
	storetest.Program(t, "pg_basebackup")
	primary := storetest.OwnServer(t)
	db, err := pgxpool.New(t.Context(), primary.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(db.Close)
	_, err = migrations.Up(t.Context(), db, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	s := newShop(t)
	s.db, s.DB = db, db
	s.exec(shopSchema)

	replica, err := primary.Replica(t.Context(), map[string]string{"wal_receiver_status_interval": "1s"})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, replica.Stop(ctx))
	})
	conn, err := pgx.Connect(t.Context(), replica.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return s, conn
}

func (s *shop) replicaIsBehind(by time.Duration) bool {
	s.t.Helper()
	lag, known, err := store.ReplicaLag(s.t.Context(), s.db)
	require.NoError(s.t, err)
	require.True(s.t, known)
	return lag > by
}

// A real replica that does not replay keeps the run from its first batch, a run whose time is up
// leaves it at that, and one that has time goes on when the replica has caught up.
func TestRunWaitsForAReplica(t *testing.T) {
	t.Parallel()
	s, replica := replicated(t)
	var log sharedLog
	s.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s.MaxReplicaLag = time.Second
	s.order("E1", 31*day)
	_, err := replica.Exec(t.Context(), `select pg_wal_replay_pause()`)
	require.NoError(t, err)
	s.order("E2", 31*day)
	behind := func() bool { return s.replicaIsBehind(s.MaxReplicaLag) }
	require.Eventually(t, behind, time.Minute, 10*time.Millisecond)

	report, err := s.newRun(time.Now().Add(time.Second)).do(t.Context())
	require.NoError(t, err)
	require.True(t, report.More)
	require.Zero(t, report.Orders, "time was up before the replica had caught up")
	require.Contains(t, log.String(), "erasure waits for a replica")

	ended := make(chan error, 1)
	go func() {
		report, err := s.Run(t.Context())
		if err == nil && report.Orders != 2 {
			err = fmt.Errorf("%d orders erased", report.Orders)
		}
		ended <- err
	}()
	require.Eventually(t, func() bool { return strings.Count(log.String(), "erasure waits for a replica") == 2 }, time.Minute, 5*time.Millisecond)
	require.True(t, behind())
	s.requireChain(0)

	_, err = replica.Exec(t.Context(), `select pg_wal_replay_resume()`)
	require.NoError(t, err)
	require.NoError(t, <-ended)
	s.requireChain(2)
	require.True(t, s.erased("E1"))
}
