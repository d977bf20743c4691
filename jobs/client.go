package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/trace"

	"kvit/delivery"
	"kvit/erasure"
	"kvit/erp"
	"kvit/erp/watcher"
	"kvit/store"
	"kvit/watch"
)

// Schema is where River's tables live.
const Schema = "kvit"

const (
	erpQueue         = "erp"
	maintenanceQueue = "maintenance"
)

// QueueOf is the River queue that serves a destination.
func QueueOf(destination string) string { return "deliver_" + destination }

// Options are what the jobs work with.
type Options struct {
	Pool    *pgxpool.Pool
	Lanes   []delivery.Settings  // enabled destinations; jobs of others wait
	Timeout time.Duration        // of one delivery attempt
	Keep    time.Duration        // how long the jobs of deliveries that have ended stay; 0: they go with the receipt
	Notify  bool                 // false: poll, LISTEN is not available
	Orders  *store.Orders        // nil: the shop's orders are not configured
	ERPs    []*watcher.Watcher   // those that are polled
	Checks  map[string]erp.Check // of sources whose evidence is compared with the order
	Eraser  *erasure.Eraser
	Tell    func(ctx context.Context) error // one round of telling somebody of alarms; nil: nobody is told
	Watch   *watch.Watch                    // nil: one of its own
	Metrics *delivery.Metrics
	Traces  trace.TracerProvider // nil: none are made
	Logger  *slog.Logger
}

// How often River looks for jobs of a queue by itself: where nobody wakes it, and beside the waker, which looks at all
// queues in one statement.
const (
	pollOnly   = time.Second
	pollBeside = 30 * time.Second
)

// rescueFactor: a job that has run this many timeouts belongs to a process that crashed. River
// looks every 30 s, so with a timeout of 30 s it is back within about two minutes, not an hour.
const rescueFactor = 2

// NewClient makes the River client that works all of kvit's queues. It does not start it.
func NewClient(o Options) (*river.Client[pgx.Tx], error) {
	if o.Watch == nil {
		o.Watch = watch.New(watch.Options{DB: o.Pool, Logger: o.Logger})
	}
	pauser := pauser{pool: o.Pool, logger: o.Logger}
	deliver := &deliverWorker{lanes: map[string]*delivery.Lane{}, timeout: o.Timeout, relay: newRelay(), logger: o.Logger}
	deliver.traced = newTraced(o.Traces)
	poll := pollOnly
	if o.Notify {
		poll = pollBeside
	}
	queues := map[string]river.QueueConfig{
		erpQueue:         {MaxWorkers: markMax, FetchCooldown: 20 * time.Millisecond, FetchPollInterval: poll},
		maintenanceQueue: {MaxWorkers: 2, FetchPollInterval: poll},
		operationQueue:   {MaxWorkers: 2, FetchPollInterval: poll},
	}
	var intakes []*intake
	for _, l := range o.Lanes {
		l.Now, l.KeepJobs, l.Traces = o.Watch.Now, o.Keep > 0, o.Traces
		lane := delivery.NewLane(l, o.Pool, o.Timeout, o.Metrics, o.Logger)
		lane.OnGone(pauser.disable)
		intake := newIntake(lane, poll, o.Pool, o.Logger)
		intakes = append(intakes, intake)
		deliver.lanes[l.Name] = lane
		queues[intake.queue] = intake.full
	}
	for _, one := range o.ERPs {
		queues[pollQueue(one.Name())] = river.QueueConfig{MaxWorkers: 1}
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, deliver)
	river.AddWorker(workers, newMarkWorker(marker{o.Pool, o.Orders, o.Checks}, o.Logger))
	river.AddWorker(workers, &maintainWorker{db: o.Pool, orders: o.Orders, checks: o.Checks, logger: o.Logger})
	river.AddWorker(workers, &notifyWorker{tell: o.Tell, logger: o.Logger})
	river.AddWorker(workers, newPollWorker(o.ERPs, o.Logger))
	river.AddWorker(workers, newEraseWorker(o.Eraser, o.Logger))
	river.AddWorker(workers, &operationWorker{db: o.Pool, lanes: o.Lanes, erps: o.ERPs, eraser: o.Eraser, timeout: o.Timeout, logger: o.Logger})

	waker := newWaker(o.Pool, slices.Sorted(maps.Keys(queues)), deliver.relay, o.Watch)
	client, err := river.NewClient(clockDriver{newDriver(o.Pool, waker, o.Logger), o.Watch, o.Pool, deliver.relay}, &river.Config{
		Schema:                      Schema,
		Queues:                      queues,
		Workers:                     workers,
		PeriodicJobs:                slices.Concat(erasePeriodic(o.Eraser), []*river.PeriodicJob{maintainPeriodic()}, notifyPeriodic(o.Tell), pollPeriodic(o.ERPs)),
		JobTimeout:                  o.Timeout,
		RescueStuckJobsAfter:        rescueFactor * o.Timeout,
		SoftStopTimeout:             o.Timeout / 2,
		CompletedJobRetentionPeriod: o.Keep,             // 0: River's default, a day, for jobs of other kinds
		CancelledJobRetentionPeriod: 7 * 24 * time.Hour, // rejected and failed ones, for operators to look into
		PollOnly:                    !o.Notify,
		Middleware:                  deliver.traced.middlewares(o.Traces),
		ErrorHandler:                cancelUnknown{logger: o.Logger},
		Logger:                      slog.New(calmHandler{o.Logger.Handler()}),
	})
	if err != nil {
		return nil, fmt.Errorf("make River client: %w", err)
	}
	for _, i := range intakes {
		i.queues = client.Queues()
	}
	return client, nil
}

func maintainPeriodic() *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(maintainEvery), func() (river.JobArgs, *river.InsertOpts) {
		return MaintainArgs{}, &river.InsertOpts{Queue: maintenanceQueue, MaxAttempts: 1}
	}, &river.PeriodicJobOpts{RunOnStart: true})
}

// pauser stops a destination whose receiver is gone, in all processes and beyond a restart: its
// River queue is paused, so that its jobs wait without being touched.
type pauser struct {
	pool   *pgxpool.Pool
	logger *slog.Logger
}

func (p pauser) disable(ctx context.Context, destination, reason string) {
	first, err := store.DisableDestination(ctx, p.pool, destination, reason)
	if err != nil {
		p.logger.Error("destination could not be disabled", "destination", destination, "problem", store.Describe(err))
		return
	}
	if first {
		p.logger.Error("DESTINATION DISABLED: its receiver wants no more events; they wait until `kvit resume`",
			"destination", destination, "reason", reason)
	}
}
