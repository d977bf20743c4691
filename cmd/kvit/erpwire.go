package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"kvit/config"
	"kvit/destination"
	"kvit/erp"
	"kvit/erp/watcher"
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
	connector, err := settings.Make(erp.Common{Name: e.Name, HTTP: destination.ClientOptions{Timeout: e.Timeout, Traces: traces}, Meter: meter, Logger: logger})
	if err != nil {
		return watcher.Source{}, fmt.Errorf("make ERP %s: %w", e.Name, err)
	}
	return watcher.Source{
		Name: e.Name, Kind: e.Kind, Fingerprint: fingerprint(e), Connector: connector, Meter: meter,
		Matcher: erp.Matcher{Prefix: e.RefPrefix, MaxLength: e.RefMaxLength},
		Poll:    e.Poll, Overlap: e.Overlap, CallsPerDay: e.CallsPerDay, Expires: e.CredentialsExpire,
	}, nil
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
		list = append(list, store.ERPSource{Name: e.Name, Kind: e.Kind, Enabled: e.Enabled, Poll: e.Poll, Fingerprint: fingerprint(e)})
	}
	return store.SyncERPSources(ctx, pool, list)
}
