package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/trace"

	"kvit/config"
	"kvit/destination"
	"kvit/erp"
	"kvit/erp/watcher"
	"kvit/jobs"
	"kvit/store"
)

// buildERPs makes a watcher of each configured ERP that is enabled.
func buildERPs(cfg config.Config, pool *pgxpool.Pool, metrics *watcher.Metrics, traces trace.TracerProvider, logger *slog.Logger) ([]*watcher.Watcher, error) {
	var list []*watcher.Watcher
	for _, e := range cfg.ERPs {
		if !e.Enabled {
			continue
		}
		source, err := erpSource(e, traces, logger)
		if err != nil {
			return nil, err
		}
		list = append(list, watcher.New(watcher.Options{DB: pool, Orders: *shopOrders(cfg), Source: source, Metrics: metrics, Logger: logger}))
	}
	return list, nil
}

// erpSource makes the connector of a configured ERP, and all that its watcher has to know.
func erpSource(e config.ERP, traces trace.TracerProvider, logger *slog.Logger) (watcher.Source, error) {
	settings, ok := e.Settings.(erp.Settings)
	if !ok {
		return watcher.Source{}, fmt.Errorf("make ERP %s: kind %q has no connector", e.Name, e.Kind)
	}
	meter := &erp.Meter{}
	connector, err := settings.Make(erp.Common{Name: e.Name, HTTP: destination.ClientOptions{Timeout: e.Timeout, Traces: traces}, Meter: meter, Logger: logger, Lines: e.CheckLines, Total: e.CheckTotal})
	if err != nil {
		return watcher.Source{}, fmt.Errorf("make ERP %s: %w", e.Name, err)
	}
	if problem := checkable(e, connector.Traits()); problem != "" {
		return watcher.Source{}, fmt.Errorf("make ERP %s: %s", e.Name, problem)
	}
	return watcher.Source{
		Name: e.Name, Kind: e.Kind, Fingerprint: fingerprint(e), Connector: connector, Meter: meter,
		Matcher: erp.Matcher{Prefix: e.RefPrefix, MaxLength: e.RefMaxLength},
		Poll:    e.Poll, Overlap: e.Overlap, CallsPerDay: e.CallsPerDay, Expires: e.CredentialsExpire, Check: erpCheck(e),
	}, nil
}

// checkable says what of the configured check the connector's ERP does not tell; empty: nothing.
func checkable(e config.ERP, t erp.Traits) string {
	switch {
	case e.CheckLines && !t.Lines:
		return "check_lines cannot be kept: the ERP does not tell how many lines a document has"
	case e.CheckTotal && !t.Total:
		return "check_total cannot be kept: the ERP does not tell the total of a document"
	}
	return ""
}

// erpCheck is what of a source's documents is compared with the order.
func erpCheck(e config.ERP) erp.Check {
	check := erp.Check{Lines: e.CheckLines, Total: e.CheckTotal}
	if check.Total {
		check.Tolerance = e.TotalTolerance
	}
	return check
}

// erpChecks are those of all sources that have one.
func erpChecks(cfg config.Config) map[string]erp.Check {
	checks := map[string]erp.Check{}
	for _, e := range cfg.ERPs {
		if check := erpCheck(e); check != (erp.Check{}) {
			checks[e.Name] = check
		}
	}
	return checks
}

// notificationStates are what notifications of ERPs have to show, by source.
func notificationStates(cfg config.Config) map[string]string {
	states := map[string]string{}
	for _, e := range cfg.ERPs {
		notifies, ok := e.Settings.(interface{ NotificationState() config.Secret })
		if ok && e.Enabled && notifies.NotificationState().IsSet() {
			states[e.Name] = notifies.NotificationState().Reveal()
		}
	}
	return states
}

// lookSoon inserts the job that polls a source, unless there is one.
func lookSoon(client *river.Client[pgx.Tx]) func(ctx context.Context, source string) error {
	return func(ctx context.Context, source string) error {
		_, err := client.Insert(ctx, jobs.PollArgs{Source: source}, nil)
		if err != nil {
			return fmt.Errorf("insert poll: %w", err)
		}
		return nil
	}
}

// fingerprint changes with whatever decides which documents an ERP shows. Secrets do not print, and are not in it: a
// new password leads to the same company.
func fingerprint(e config.ERP) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d %+v", e.Kind, e.RefPrefix, e.RefMaxLength, e.Settings))
	return hex.EncodeToString(sum[:8])
}

// syncERPs writes what the schema holds of the configured ERPs.
func syncERPs(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) error {
	var list []store.ERPSource
	for _, e := range cfg.ERPs {
		list = append(list, store.ERPSource{Name: e.Name, Kind: e.Kind, Enabled: e.Enabled, Poll: e.Poll, Fingerprint: fingerprint(e), Expires: e.CredentialsExpire})
	}
	return store.SyncERPSources(ctx, pool, list)
}
