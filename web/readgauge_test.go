package web_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/web"
)

// A scrape tells whether its numbers are the replica's, and gives no lag that nobody knows.
func TestReadGauge(t *testing.T) {
	t.Parallel()
	replayed := time.Unix(1_790_000_000, 0)
	state := store.ReadState{From: "replica", Lag: new(1500 * time.Millisecond), ReplayedAt: &replayed}
	registry := prometheus.NewRegistry()
	registry.MustRegister(web.NewReadGauge(func() store.ReadState { return state }))
	handler := web.Handler(web.Options{Metrics: registry, Logger: quiet})

	_, metrics := get(t, handler, "GET", "/metrics")
	require.Contains(t, metrics, "\nkvit_read_replica_used 1\n")
	require.Contains(t, metrics, "\nkvit_read_replica_lag_seconds 1.5\n")
	require.Contains(t, metrics, "\nkvit_read_replica_last_replay_timestamp 1.79e+09\n")

	state = store.ReadState{From: "primary", Problem: "database cannot be reached"}
	_, metrics = get(t, handler, "GET", "/metrics")
	require.Contains(t, metrics, "\nkvit_read_replica_used 0\n")
	require.NotContains(t, metrics, "kvit_read_replica_lag_seconds")
	require.NotContains(t, metrics, "kvit_read_replica_last_replay_timestamp")
}
