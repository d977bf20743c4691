package web

import (
	"github.com/prometheus/client_golang/prometheus"

	"kvit/store"
)

var (
	replicaUsed     = describe("kvit_read_replica_used", "1 if pages, status and metrics are read from the replica, 0 if it is left alone and they come from the primary.")
	replicaLag      = describe("kvit_read_replica_lag_seconds", "By how much the replica is behind at most; missing while nobody knows.")
	replicaReplayed = describe("kvit_read_replica_last_replay_timestamp", "When the newest transaction that the replica has was committed, as Unix time.")
)

// ReadGauge tells where the other gauges were read. It asks nobody: the replica is looked at all the time.
type ReadGauge struct {
	state func() store.ReadState
}

// NewReadGauge returns the collector for a replica of that state.
func NewReadGauge(state func() store.ReadState) ReadGauge { return ReadGauge{state: state} }

// Describe sends nothing: the lag is not always known.
func (g ReadGauge) Describe(chan<- *prometheus.Desc) {}

// Collect gives the state of the last look.
func (g ReadGauge) Collect(ch chan<- prometheus.Metric) {
	s := g.state()
	ch <- gauge(replicaUsed, boolean(s.Problem == ""))
	if s.Lag != nil {
		ch <- gauge(replicaLag, s.Lag.Seconds())
	}
	if s.ReplayedAt != nil {
		ch <- gauge(replicaReplayed, unix(s.ReplayedAt))
	}
}
