package web

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kvit/store"
)

// Gauges are metrics that are read from the database when they are asked for: every process shows
// the same, whoever did the work.
type Gauges struct {
	db     store.DB
	orders *store.Orders
	grace  func(now time.Time) time.Duration
	logger *slog.Logger

	mu      sync.Mutex
	at      time.Time
	current []prometheus.Metric
}

const (
	gaugesTimeout = 5 * time.Second
	gaugesAge     = 10 * time.Second // two scrapers must not double the load
)

var (
	oldestPending  = describe("kvit_oldest_pending_seconds", "Age of the oldest event that waits for a destination.", "destination")
	pending        = describe("kvit_pending", "Events that wait for a destination; more than 10,000 are an estimate.", "destination")
	lost           = describe("kvit_deliveries_lost", "Deliveries without receipt or job, at most 10,000: kvit replay sends them.", "destination")
	unreadConsent  = describe("kvit_consent_not_understood", "Events withheld within a day since their consent could not be understood, at most 10,000.", "destination")
	disabled       = describe("kvit_destination_disabled", "1 if the receiver has answered that it wants no more events.", "destination")
	awaitingImport = describe("kvit_orders_awaiting_import", "Orders that the ERP does not have yet.")
	oldestAwaiting = describe("kvit_oldest_unimported_order_seconds", "Age of the oldest order that the ERP does not have yet.")
	importsLate    = describe("kvit_orders_import_late", "Orders that the ERP should have had by now (retention.alarm_unimported_after).")
	incomplete     = describe("kvit_orders_incomplete", "Orders of which the ERP does not show the whole; they are not marked: kvit orders --incomplete.")
	braked         = describe("kvit_erasure_braked", "Orders, or rows of one rule, that were due when the brake stopped the last erasure; 0 if it did not.")
	residue        = describe("kvit_erasure_residue", "Columns in which a search has found values of erased orders, and that are not known to be clean.")
	overdue        = describe("kvit_erasures_overdue", "Orders whose erasure is overdue.")
	due            = describe("kvit_erasures_due", "Orders that the next erasure will take.")
	tasksOpen      = describe("kvit_erasure_tasks_open", "Destinations that somebody has to tell of a person's request to be forgotten.")
	oldestTask     = describe("kvit_oldest_erasure_task_seconds", "Age of the oldest such task.")
	policyProblems = describe("kvit_policy_problems", "Tables and columns that the column policy does not fit. What they hold is not erased.")
	shopMisfit     = describe("kvit_shop_misfit", "Places where the shop's orders table does not fit shop.orders. While there is one, no order is marked or erased.")
	lastErasure    = describe("kvit_erasure_last_success_timestamp", "When an erasure last ran to its end without a problem, as Unix time.")
)

var (
	erpSuccess = describe("kvit_erp_last_success_timestamp", "When an ERP was last polled with success, as Unix time; 0: never.", "source")
	erpSilent  = describe("kvit_erp_silent", "1 if an ERP was not polled with success for three polls.", "source")
	erpWarning = describe("kvit_erp_warning", "1 if the answers of an ERP are not as they should be: see kvit erp list.", "source")
	erpCalls   = describe("kvit_erp_calls_today", "Calls that were made to an ERP since midnight, UTC.", "source")
	erpExpires = describe("kvit_erp_credentials_expire_timestamp", "When the credentials of an ERP end, as Unix time.", "source")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// NewGauges returns the collector; orders is nil if the shop's orders are not configured. Orders
// count as overdue when they have been due for longer than grace says.
func NewGauges(db store.DB, orders *store.Orders, grace func(now time.Time) time.Duration, logger *slog.Logger) *Gauges {
	return &Gauges{db: db, orders: orders, grace: grace, logger: logger}
}

// Describe sends nothing: which gauges there are depends on the configuration.
func (g *Gauges) Describe(chan<- *prometheus.Desc) {}

// Collect reads the gauges, or gives those of a moment ago. Without a database there are none.
func (g *Gauges) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.at) > gaugesAge {
		g.current = g.read()
		g.at = time.Now()
	}
	for _, m := range g.current {
		ch <- m
	}
}

func (g *Gauges) read() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), gaugesTimeout)
	defer cancel()
	// Ages are by the clock that wrote the times.
	now, err := store.Now(ctx, g.db)
	if err != nil {
		g.logger.Warn("metrics could not be read", "problem", store.Describe(err))
		return nil
	}
	metrics, err := g.destinations(ctx, now)
	if err != nil {
		g.logger.Warn("metrics of destinations could not be read", "problem", store.Describe(err))
		return nil
	}
	erps, err := g.erps(ctx)
	if err != nil {
		g.logger.Warn("metrics of ERPs could not be read", "problem", store.Describe(err))
	}
	metrics = append(metrics, erps...)
	shop, err := g.shop(ctx, now)
	if err != nil {
		g.logger.Warn("metrics of orders could not be read", "problem", store.Describe(err))
	}
	return append(metrics, shop...)
}

func (g *Gauges) destinations(ctx context.Context, now time.Time) ([]prometheus.Metric, error) {
	list, err := store.DestinationStatuses(ctx, g.db)
	if err != nil {
		return nil, err
	}
	var metrics []prometheus.Metric
	for _, d := range list {
		metrics = append(metrics,
			gauge(oldestPending, age(d.OldestPending, now), d.Name),
			gauge(pending, float64(d.Pending), d.Name),
			gauge(lost, float64(d.Lost), d.Name),
			gauge(unreadConsent, float64(d.UnreadConsent), d.Name),
			gauge(disabled, boolean(d.DisabledReason != nil), d.Name))
	}
	return metrics, nil
}

func (g *Gauges) erps(ctx context.Context) ([]prometheus.Metric, error) {
	list, err := store.ERPSources(ctx, g.db)
	if err != nil {
		return nil, err
	}
	var metrics []prometheus.Metric
	for _, s := range list {
		metrics = append(metrics,
			gauge(erpSuccess, unix(s.LastSuccessAt), s.Name),
			gauge(erpSilent, boolean(s.Silent), s.Name),
			gauge(erpWarning, boolean(s.Warning != nil), s.Name),
			gauge(erpCalls, float64(s.Calls), s.Name))
		if s.CredentialsExpire != nil {
			metrics = append(metrics, gauge(erpExpires, unix(s.CredentialsExpire), s.Name))
		}
	}
	return metrics, nil
}

func unix(at *time.Time) float64 {
	if at == nil {
		return 0
	}
	return float64(at.UnixMilli()) / 1000
}

func (g *Gauges) shop(ctx context.Context, now time.Time) ([]prometheus.Metric, error) {
	var metrics []prometheus.Metric
	last, err := store.LastErasureSuccess(ctx, g.db)
	if err != nil {
		return nil, err
	}
	if last != nil {
		metrics = append(metrics, gauge(lastErasure, float64(last.UnixMilli())/1000))
	}
	stopped, err := store.Braked(ctx, g.db)
	if err != nil {
		return metrics, err
	}
	metrics = append(metrics, gauge(braked, float64(stopped)))
	copies, err := store.CountResidues(ctx, g.db)
	if err != nil {
		return metrics, err
	}
	metrics = append(metrics, gauge(residue, float64(copies)))
	open, oldest, err := store.TaskBacklog(ctx, g.db)
	if err != nil {
		return metrics, err
	}
	metrics = append(metrics, gauge(tasksOpen, float64(open)), gauge(oldestTask, age(oldest, now)))
	if g.orders == nil {
		return metrics, nil
	}
	misfits, err := store.ShopMisfits(ctx, g.db, *g.orders)
	if err != nil {
		return metrics, err
	}
	metrics = append(metrics, gauge(shopMisfit, float64(len(misfits))))
	if len(misfits) > 0 {
		return metrics, nil // nothing can be said about the orders
	}
	status, err := store.ReadOrdersStatus(ctx, g.db, *g.orders, g.grace(now))
	if err != nil {
		return metrics, err
	}
	return append(metrics,
		gauge(awaitingImport, float64(status.AwaitingImport)),
		gauge(oldestAwaiting, age(status.OldestAwaiting, now)),
		gauge(incomplete, float64(status.Incomplete)), gauge(importsLate, float64(status.ImportsLate)),
		gauge(due, float64(status.ErasuresDue)),
		gauge(overdue, float64(status.ErasuresOverdue))), nil
}

// PolicyGauge is a metric of its own, since it asks for rules that the database does not know.
type PolicyGauge struct {
	count  func(ctx context.Context) (int, error)
	logger *slog.Logger

	mu      sync.Mutex
	at      time.Time
	current prometheus.Metric // nil: it could not be read
}

// NewPolicyGauge returns the collector of kvit_policy_problems, which count counts.
func NewPolicyGauge(count func(ctx context.Context) (int, error), logger *slog.Logger) *PolicyGauge {
	return &PolicyGauge{count: count, logger: logger}
}

// Describe sends the one metric.
func (g *PolicyGauge) Describe(ch chan<- *prometheus.Desc) { ch <- policyProblems }

// Collect counts, or gives the number of a moment ago. Without a database there is none.
func (g *PolicyGauge) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.at) > gaugesAge {
		g.current = g.read()
		g.at = time.Now()
	}
	if g.current != nil {
		ch <- g.current
	}
}

func (g *PolicyGauge) read() prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), gaugesTimeout)
	defer cancel()
	n, err := g.count(ctx)
	if err != nil {
		g.logger.Warn("metric of the column policy could not be read", "problem", store.Describe(err))
		return nil
	}
	return gauge(policyProblems, float64(n))
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func age(t *time.Time, now time.Time) float64 {
	if t == nil {
		return 0
	}
	return max(now.Sub(*t).Seconds(), 0)
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
