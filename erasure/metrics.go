package erasure

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics count what this process erases.
type Metrics struct {
	orders prometheus.Counter
}

// NewMetrics registers the metrics of the erasure.
func NewMetrics(r prometheus.Registerer) *Metrics {
	return &Metrics{
		orders: promauto.With(r).NewCounter(prometheus.CounterOpts{
			Name: "kvit_orders_erased_total", Help: "Orders whose personal data this process has erased.",
		}),
	}
}

// OrdersErased counts orders whose personal data is gone.
func (m *Metrics) OrdersErased(n int) { m.orders.Add(float64(n)) }
