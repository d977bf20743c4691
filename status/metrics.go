package status

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var alarmDesc = prometheus.NewDesc("kvit_alarm", "1 while an alarm is on, of those that kvit status tells; looked at once a minute.", []string{"alarm", "subject", "severity"}, nil)

const (
	metricAge     = time.Minute // a status asks much
	metricTimeout = 10 * time.Second
)

// Metric is a collector of the alarms that are on.
type Metric struct {
	options Options

	mu      sync.Mutex
	at      time.Time
	current []Alarm
}

// NewMetric reads the status by o, at most once a minute.
func NewMetric(o Options) *Metric { return &Metric{options: o} }

// Describe sends the one metric.
func (m *Metric) Describe(ch chan<- *prometheus.Desc) { ch <- alarmDesc }

// Collect sends a 1 for each alarm. A status that cannot be read is one, too.
func (m *Metric) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) > metricAge {
		m.current = m.read()
		m.at = time.Now()
	}
	told := map[[2]string]bool{} // a subject may have several details
	for _, a := range m.current {
		if key := [2]string{a.Name, a.Subject}; !told[key] {
			told[key] = true
			ch <- prometheus.MustNewConstMetric(alarmDesc, prometheus.GaugeValue, 1, a.Name, a.Subject, string(a.Severity))
		}
	}
}

func (m *Metric) read() []Alarm {
	ctx, cancel := context.WithTimeout(context.Background(), metricTimeout)
	defer cancel()
	s, _ := Read(ctx, m.options) // what could not be read is among the alarms
	return Alarms(s)
}
