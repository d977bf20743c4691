package watch

import "github.com/prometheus/client_golang/prometheus"

var (
	aheadDesc  = prometheus.NewDesc("kvit_clock_ahead_seconds", "How far this machine's clock is ahead of the database's; negative: behind. Beyond 60 it neither erases nor leads.", nil, nil)
	oldDesc    = prometheus.NewDesc("kvit_too_old_to_erase", "1 if the schema asks for a newer kvit than this process to erase.", nil, nil)
	futureDesc = prometheus.NewDesc("kvit_records_in_future", "Kinds of records whose newest lies in the future of the database's clock.", nil, nil)
)

var _ prometheus.Collector = (*Watch)(nil)

// Describe lists what Collect may send.
func (w *Watch) Describe(ch chan<- *prometheus.Desc) {
	ch <- aheadDesc
	ch <- oldDesc
	ch <- futureDesc
}

// Collect sends what was seen last; nothing before the first look.
func (w *Watch) Collect(ch chan<- prometheus.Metric) {
	v := w.Last()
	if v.Process.IsZero() {
		return
	}
	old := 0.0
	if v.Knows < v.EraseFrom {
		old = 1
	}
	ch <- prometheus.MustNewConstMetric(aheadDesc, prometheus.GaugeValue, v.Ahead().Seconds())
	ch <- prometheus.MustNewConstMetric(oldDesc, prometheus.GaugeValue, old)
	ch <- prometheus.MustNewConstMetric(futureDesc, prometheus.GaugeValue, float64(len(v.Future)))
}
