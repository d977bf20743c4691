package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/delivery"
	"kvit/erasure"
	"kvit/erasure/policy"
	"kvit/erp/watcher"
	"kvit/jobs"
	"kvit/migrations"
	"kvit/status"
	"kvit/store"
	"kvit/traces"
	"kvit/watch"
	"kvit/web"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Run the daemon until it is told to stop",
		Long: `Delivers events, marks orders and erases what is due, until SIGINT or SIGTERM. Requests under way
may end first. It waits for a database that is away, and refuses one whose schema is old, or that is
older than the file of retention.anchor.`,
		Example: "  kvit run --config /etc/kvit.yaml",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if a.getenv("GOGC") == "" {
				// Events come and go while little stays: the default collects a quarter of the time.
				// At full speed this takes some 80 MB instead of 40.
				debug.SetGCPercent(400)
			}
			return a.runDaemon(cmd.Context(), cfg, newLogger(cfg.Log, a.stderr))
		},
	}
}

// runDaemon is kvit run: it returns when ctx ends, or when kvit cannot work.
func (a *app) runDaemon(ctx context.Context, cfg config.Config, logger *slog.Logger) error {
	anchor := erasure.NewAnchorKeeper(anchorOf(cfg), logger)
	pool, err := store.Open(ctx, store.Options{
		URL: cfg.Database.URL.Reveal(), MaxConnections: cfg.Database.MaxConnections, TimeZone: sessionZone(cfg), Admit: anchor.Admit,
	})
	if err != nil {
		return err
	}
	defer pool.Close()
	reads, err := openReads(ctx, cfg, pool, logger)
	if err != nil {
		return err
	}
	defer reads.Close()
	d := &daemon{cfg: cfg, pool: pool, reads: reads, logger: logger, anchor: anchor, watch: watch.New(a.watchOptions(pool, logger))}
	if d.traces, err = traces.New(ctx, a.getenv, buildVersion(), logger); err != nil {
		return err
	}
	defer d.traces.End(ctx)
	client, err := d.newClient()
	if err != nil {
		return err
	}
	if cfg.Ops.Listen != config.ListenOff {
		server, err := d.listen(ctx, client)
		if err != nil {
			return err
		}
		defer func() { _ = server.Close() }()
		logger.Info("http server listens", "address", server.Addr())
	}
	if cfg.Ops.Pprof != "" {
		profiles, err := web.ListenProfiles(ctx, cfg.Ops.Pprof, logger)
		if err != nil {
			return err
		}
		defer func() { _ = profiles.Close() }()
		logger.Info("profiles are served", "address", profiles.Addr())
	}
	if err := d.start(ctx, client); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while it waited
		}
		return err
	}
	logger.Info("kvit runs", "version", buildVersion(), "destinations", len(cfg.Destinations))
	go anchor.Watch(ctx, pool)
	go d.watch.Run(ctx)
	go reads.Run(ctx)
	select {
	case <-ctx.Done():
	case err := <-anchor.Older():
		d.abandon(ctx, client)
		return err
	}
	logger.Info("kvit stops: requests under way may end")
	<-client.Stopped()
	logger.Info("kvit has stopped")
	return anchor.End(ctx, pool)
}

// listen opens the port, and with it the pages, before the database is there.
func (d *daemon) listen(ctx context.Context, client *river.Client[pgx.Tx]) (*web.Server, error) {
	pages, err := d.pages(ctx, client)
	if err != nil {
		return nil, err
	}
	certificate, err := opsTLS(d.cfg.Ops)
	if err != nil {
		return nil, err
	}
	o := d.webOptions(client, pages)
	o.TLS = certificate
	return web.Listen(ctx, o)
}

// webOptions are all that the port answers with.
func (d *daemon) webOptions(client *river.Client[pgx.Tx], pages http.Handler) web.Options {
	return web.Options{
		Listen: d.cfg.Ops.Listen, Ready: d.ready, Metrics: d.registry, Receipts: d.receipts(), Status: d.statusDoor(), Pages: pages, Logger: d.logger,
		Notifications: web.Notifications{States: notificationStates(d.cfg), Look: lookSoon(client)},
	}
}

// statusDoor is `kvit status --json` for programs, if a token opens it.
func (d *daemon) statusDoor() web.Status {
	return web.Status{Token: d.cfg.Ops.StatusToken.Reveal(), Read: func(ctx context.Context) (any, error) {
		s, err := status.Read(ctx, d.looked)
		if err != nil {
			return nil, errors.New(store.Describe(err))
		}
		return statusReport{Alarms: status.Alarms(s), Status: s}, nil
	}}
}

// abandonWait is short: the database refuses what work would have to write at its end.
const abandonWait = 5 * time.Second

// abandon stops at once, for a database that must not be worked on: jobs that are already fetched from it
// must not be delivered, either. What has not ended in time ends with the process.
func (d *daemon) abandon(ctx context.Context, client *river.Client[pgx.Tx]) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonWait)
	defer cancel()
	d.logger.Error("kvit stops at once: the database has gone back")
	_ = client.StopAndCancel(ctx)
}

// daemon is what the parts of kvit run share.
type daemon struct {
	cfg      config.Config
	pool     *pgxpool.Pool
	reads    *store.Reads // for what is only shown
	registry *prometheus.Registry
	lanes    []delivery.Settings // of the destinations that are enabled
	eraser   *erasure.Eraser
	logger   *slog.Logger
	anchor   *erasure.AnchorKeeper
	watch    *watch.Watch
	looked   status.Options // from what the status is read
	traces   *traces.Traces // nil: nobody wants them
	started  atomic.Bool
}

// newClient wires the rooms together.
func (d *daemon) newClient() (*river.Client[pgx.Tx], error) {
	built, err := buildDestinations(d.cfg, d.logger, d.traces.Provider())
	if err != nil {
		return nil, err
	}
	registry, err := newRegistry(d.cfg, d.reads, d.logger)
	if err != nil {
		return nil, err
	}
	d.registry, d.lanes = registry, built.lanes
	eraser, err := newEraser(d.cfg, d.pool, erasure.NewMetrics(registry), d.logger)
	if err != nil {
		return nil, err
	}
	d.eraser, eraser.Watch = eraser, d.watch
	registry.MustRegister(d.watch)
	registry.MustRegister(web.NewPolicyGauge(func(ctx context.Context) (int, error) {
		problems, err := eraser.Problems(ctx)
		return len(problems), err
	}, d.logger))
	looked, err := statusOptions(d.cfg, d.pool, d.reads, d.watch)
	if err != nil {
		return nil, err
	}
	looked.Anchor = d.anchorProblems
	d.looked = looked
	registry.MustRegister(status.NewMetric(looked))
	tell, err := d.tellAlarms(looked)
	if err != nil {
		return nil, err
	}
	erps, err := buildERPs(d.cfg, d.pool, watcher.NewMetrics(registry), d.traces.Provider(), d.logger)
	if err != nil {
		return nil, err
	}
	return jobs.NewClient(jobs.Options{
		Pool: d.pool, Lanes: built.lanes, Timeout: d.cfg.Delivery.Timeout, Keep: d.cfg.Delivery.KeepJobs, Notify: d.cfg.Database.Notify,
		Orders: shopOrders(d.cfg), ERPs: erps, Checks: erpChecks(d.cfg), Eraser: eraser, Tell: tell, Watch: d.watch, Metrics: delivery.NewMetrics(registry),
		Traces: d.traces.Provider(), Logger: d.logger,
	})
}

// anchorProblems are what is wrong with the anchor's file, as this process sees it.
func (d *daemon) anchorProblems(ctx context.Context) (problems []string) {
	for _, f := range anchorOf(d.cfg).Findings(ctx, d.pool) {
		problems = append(problems, f.Problem)
	}
	return problems
}

// receipts is the door for receipts of ERPs, if a token opens it.
func (d *daemon) receipts() web.Receipts {
	if d.cfg.Shop == nil {
		return web.Receipts{}
	}
	pushed := jobs.PushedReceipts{DB: d.pool, Orders: *shopOrders(d.cfg)}
	return web.Receipts{Token: d.cfg.Ops.ERPReceiptsToken.Reveal(), Take: pushed.Take}
}

// waitStep is how long kvit waits between looks at a database that is away.
const waitStep = 3 * time.Second

// start waits for the database, checks it and starts to work.
func (d *daemon) start(ctx context.Context, client *river.Client[pgx.Tx]) error {
	for {
		err := d.tryStart(ctx, client)
		var held *migrations.HeldError
		if errors.As(err, &held) {
			d.logger.Warn("waiting for a lock", "problem", held.Error())
			continue // it has waited long enough
		}
		if err == nil || errors.Is(err, migrations.ErrOldSchema) || erasure.IsAnchor(err) || watch.Is(err) || !store.IsConnection(err) {
			return err
		}
		d.logger.Warn("waiting for the database", "problem", store.Describe(err))
		select {
		case <-time.After(waitStep):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *daemon) tryStart(ctx context.Context, client *river.Client[pgx.Tx]) error {
	if err := d.pool.Ping(ctx); err != nil {
		return err
	}
	if err := migrations.Check(ctx, d.pool); err != nil {
		return err
	}
	view, err := d.watch.Look(ctx)
	if err != nil {
		return err
	}
	if err := view.MayLead(); err != nil {
		return fmt.Errorf("refused to start: %w", err)
	}
	if err := d.anchor.Start(ctx, d.pool); err != nil {
		return err
	}
	if err := syncSchema(ctx, d.cfg, d.pool, d.logger); err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("start River: %w", err)
	}
	d.started.Store(true)
	d.checkSession(ctx)
	d.checkPolicy(ctx)
	return nil
}

// checkSession says what only the database's operator can mend: kvit check has more about it.
func (d *daemon) checkSession(ctx context.Context) {
	sessions, err := store.Sessions(ctx, d.pool, 1)
	if err != nil {
		d.logger.Warn("session could not be looked at", "problem", store.Describe(err))
		return
	}
	if problem := unsafeSessions(ctx, d.pool, sessions); problem != "" {
		d.logger.Error("others may have their functions run with kvit's rights", "problem", problem)
	}
}

// checkPolicy says at once what would otherwise be found at the next erasure. It keeps nothing from
// starting: events are delivered all the same.
func (d *daemon) checkPolicy(ctx context.Context) {
	problems, err := d.eraser.Problems(ctx)
	if err != nil {
		d.logger.Warn("column policy could not be checked", "problem", store.Describe(err))
		return
	}
	if len(problems) > 0 {
		d.logger.Error("the column policy stops erasures", "err", &policy.MisfitError{Problems: problems})
	}
}

// ready tells whether the daemon can work: started, a database that takes writes, its schema, its clock.
func (d *daemon) ready(ctx context.Context) error {
	if !d.started.Load() {
		return errors.New("not started yet")
	}
	if err := store.Writable(ctx, d.pool); errors.Is(err, store.ErrReadOnly) {
		return err
	} else if err != nil {
		return errors.New(store.Describe(err))
	}
	if err := migrations.Check(ctx, d.pool); err != nil {
		if errors.Is(err, migrations.ErrOldSchema) {
			return err
		}
		return errors.New(store.Describe(err))
	}
	view, err := d.watch.Ask(ctx, d.pool)
	if err != nil {
		return errors.New(store.Describe(err))
	}
	return view.MayLead()
}
