package watcher

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what a process measures of its polls. A nil *Metrics measures nothing.
type Metrics struct {
	seconds *prometheus.HistogramVec
}

// NewMetrics registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kvit_erp_poll_seconds", Help: "How long a poll of an ERP took.",
		Buckets: []float64{0.1, 0.5, 1, 5, 15, 60, 180, 600},
	}, []string{"source"})}
	registry.MustRegister(m.seconds)
	return m
}

func (m *Metrics) observe(source string, took time.Duration) {
	if m != nil {
		m.seconds.WithLabelValues(source).Observe(took.Seconds())
	}
}
