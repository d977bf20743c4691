package delivery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"kvit/destination"
)

// Metrics count deliveries. Labels are names from the configuration and closed lists, never
// anything from an event.
type Metrics struct {
	deliveries  *prometheus.CounterVec
	attempts    *prometheus.CounterVec
	latency     *prometheus.HistogramVec
	requests    *prometheus.HistogramVec
	events      *prometheus.HistogramVec
	breakerOpen *prometheus.GaugeVec
	omissions   *prometheus.CounterVec
}

// NewMetrics registers the metrics of deliveries.
func NewMetrics(r prometheus.Registerer) *Metrics {
	f := promauto.With(r)
	return &Metrics{
		deliveries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kvit_deliveries_total", Help: "Deliveries that have ended, by outcome.",
		}, []string{"destination", "outcome"}),
		attempts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kvit_delivery_attempts_total", Help: "Requests to a destination, by what became of them.",
		}, []string{"destination", "result"}),
		latency: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kvit_delivery_seconds", Help: "Time from the event's insert to its receipt.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 86400},
		}, []string{"destination"}),
		requests: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kvit_request_seconds", Help: "Time of one request to a destination.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"destination"}),
		events: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kvit_request_events", Help: "Events in one request to a destination.",
			Buckets: []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000},
		}, []string{"destination"}),
		breakerOpen: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kvit_breaker_open", Help: "1 while this process leaves the destination alone, because it is down, asks to slow down or refuses the credentials.",
		}, []string{"destination"}),
		omissions: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kvit_fields_left_out_total", Help: "Members of payloads that could not be read and were left out of events that were delivered.",
		}, []string{"destination", "field"}),
	}
}

func (m *Metrics) request(destination, result string, events int, took time.Duration) {
	m.attempts.WithLabelValues(destination, result).Inc()
	m.events.WithLabelValues(destination).Observe(float64(events))
	m.requests.WithLabelValues(destination).Observe(took.Seconds())
}

// leftOut counts by members that kvit knows, never by what a shop made up.
func (m *Metrics) leftOut(name string, omitted destination.Omissions) {
	for _, o := range omitted {
		m.omissions.WithLabelValues(name, o.Member).Inc()
	}
}

func (m *Metrics) held(destination string, held bool) {
	value := 0.0
	if held {
		value = 1
	}
	m.breakerOpen.WithLabelValues(destination).Set(value)
}

func (m *Metrics) settled(destination, outcome string, after time.Duration) {
	m.deliveries.WithLabelValues(destination, outcome).Inc()
	m.latency.WithLabelValues(destination).Observe(after.Seconds())
}
