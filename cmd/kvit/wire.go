package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"

	"kvit/config"
	"kvit/delivery"
	"kvit/destination"
	"kvit/schedule"
	"kvit/store"
	"kvit/web"
)

// destinations is the configured destinations in the forms that the rooms want.
type destinations struct {
	rows  []store.Destination // all, for the trigger
	lanes []delivery.Settings // those that are enabled
}

// buildDestinations makes an adapter of each configured destination.
func buildDestinations(cfg config.Config, logger *slog.Logger, traces trace.TracerProvider) (destinations, error) {
	var built destinations
	for _, d := range cfg.Destinations {
		adapter, err := tracedAdapterOf(d, logger, traces)
		if err != nil {
			return destinations{}, fmt.Errorf("make destination %s: %w", d.Name, err)
		}
		if problems := unusable(d, adapter); len(problems) > 0 {
			return destinations{}, fmt.Errorf("make destination %s: events: %s", d.Name, strings.Join(problems, "; "))
		}
		built.rows = append(built.rows, store.Destination{Name: d.Name, Kind: d.Kind, Enabled: d.Enabled, EventNames: eventsOf(d, adapter)})
		if d.Enabled {
			built.lanes = append(built.lanes, laneOf(cfg, d, adapter))
		}
	}
	return built, nil
}

// unusable says which of the events that are listed the adapter has no use for: kvit check and kvit run refuse them.
func unusable(d config.Destination, adapter destination.Destination) (problems []string) {
	events := adapter.Traits().Events
	for _, name := range d.Events {
		if !wanted(events, name) {
			problems = append(problems, fmt.Sprintf("a %s destination cannot use %s", d.Kind, name))
		}
	}
	return problems
}

// eventsOf are the events that a destination gets: those listed, or all that the adapter can use but
// for those switched off.
func eventsOf(d config.Destination, adapter destination.Destination) []string {
	if d.Events != nil {
		return d.Events
	}
	return slices.DeleteFunc(slices.Clone(adapter.Traits().Events), func(event string) bool {
		called, changed := d.EventNames[event]
		return changed && called == ""
	})
}

func laneOf(cfg config.Config, d config.Destination, adapter destination.Destination) delivery.Settings {
	traits := adapter.Traits()
	lane := delivery.Settings{
		Name: d.Name, Destination: adapter, Purpose: d.Consent, Concurrency: d.Concurrency, Rate: d.Rate,
		RetryFor: d.RetryFor, MaxAge: traits.MaxAge, Window: traits.Window, RetryUnclear: d.RetryUnclear,
		Batch: traits.Batch, Consent: consentMap(cfg.Consent), Country: cfg.ShopCountry,
	}
	if d.Consent == config.None {
		lane.Purpose = ""
	}
	if d.MaxAge != nil {
		lane.MaxAge = *d.MaxAge
	}
	if d.RepeatsKnownFor != nil {
		lane.Window = *d.RepeatsKnownFor
	}
	if d.BatchEvents > 0 {
		lane.Batch.Events = min(d.BatchEvents, cmp.Or(traits.Batch.Events, d.BatchEvents))
	}
	return lane
}

// consentMap is the configured map of consent for the lanes; nil if there is none.
func consentMap(c *config.Consent) *delivery.ConsentMap {
	if c == nil {
		return nil
	}
	return &delivery.ConsentMap{Form: c.Form, Purposes: c.Purposes, Yes: c.Yes, No: c.No}
}

// adapterOf makes the adapter of a configured destination.
func adapterOf(d config.Destination, logger *slog.Logger) (destination.Destination, error) {
	return tracedAdapterOf(d, logger, nil)
}

func tracedAdapterOf(d config.Destination, logger *slog.Logger, traces trace.TracerProvider) (destination.Destination, error) {
	settings, ok := d.Settings.(destination.Settings)
	if !ok {
		return nil, fmt.Errorf("kind %q has no adapter", d.Kind)
	}
	return settings.Make(destination.Common{
		Events: d.EventNames, Logger: logger,
		HTTP: destination.ClientOptions{Timeout: d.Timeout, MaxConns: d.Concurrency, Traces: traces},
	})
}

// shopOrders is the shop's orders table for the store; nil if it is not configured.
func shopOrders(cfg config.Config) *store.Orders {
	if cfg.Shop == nil {
		return nil
	}
	o := cfg.Shop.Orders
	orders := &store.Orders{
		Table: o.Table, Ref: o.Ref, PlacedAt: o.PlacedAt, ImportedAt: o.ImportedAt, ERPNumber: o.ERPNumber,
		ErasedAt: o.ErasedAt, Email: o.Email, CustomerID: o.CustomerID, AwaitingImport: o.AwaitingImport, TimeZone: o.TimeZone,
		EraseAfter: cfg.Retention.EraseAfterImport, EraseUnimportedAfter: cfg.Retention.EraseNeverImportedAfter,
		AlarmAfter: cfg.Retention.AlarmUnimportedAfter, Total: o.Total,
	}
	if l := o.Lines; l != nil {
		orders.Lines = &store.Lines{Table: l.Table, Where: l.Where}
		for _, m := range l.Match {
			orders.Lines.Match = append(orders.Lines.Match, store.Pair{Column: m.Column, Key: m.OrderColumn})
		}
	}
	if c := o.Customer; c != nil {
		orders.Customer = &store.Customer{Table: c.Table, Email: c.Email, ID: c.ID}
		for _, m := range c.Match {
			orders.Customer.Match = append(orders.Customer.Match, store.Pair{Column: m.Column, Key: m.OrderColumn})
		}
	}
	for _, c := range cfg.Retention.Clocks {
		orders.Clocks = append(orders.Clocks, store.Clock{Name: c.Name, When: c.When, Since: c.Since, After: c.EraseAfter})
	}
	return orders
}

// sessionZone is in which zone the database reads times that have none; empty: UTC.
func sessionZone(cfg config.Config) string {
	if cfg.Shop == nil {
		return ""
	}
	return cfg.Shop.Orders.TimeZone
}

// overdueAfter tells how long after its due date an erasure counts as overdue at a time: since the run of the schedule
// that should have taken it.
func overdueAfter(cfg config.Config) (func(now time.Time) time.Duration, error) {
	runs, err := schedule.Parse(cfg.Retention.Schedule, cfg.Retention.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("read retention.schedule: %w", err)
	}
	return runs.Overdue, nil
}

// newRegistry gathers all metrics of the process.
func newRegistry(cfg config.Config, reads *store.Reads, logger *slog.Logger) (*prometheus.Registry, error) {
	grace, err := overdueAfter(cfg)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		web.NewGauges(reads.Pool, shopOrders(cfg), grace, logger),
	)
	if reads.Configured() {
		registry.MustRegister(web.NewReadGauge(reads.State))
	}
	return registry, nil
}
