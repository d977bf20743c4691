package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/spread"
	"kvit/destination/webhook"
	"kvit/jobs"
	"kvit/store"
	"kvit/web"
)

// destinations is the configured destinations in the forms that the rooms want.
type destinations struct {
	rows  []store.Destination // all, for the trigger
	lanes []jobs.Lane         // those that are enabled
}

// buildDestinations makes an adapter of each configured destination.
func buildDestinations(cfg config.Config, logger *slog.Logger) (destinations, error) {
	var built destinations
	for _, d := range cfg.Destinations {
		adapter, err := adapterOf(d, logger)
		if err != nil {
			return destinations{}, fmt.Errorf("make destination %s: %w", d.Name, err)
		}
		events := d.Events
		if events == nil {
			events = adapter.Traits().Events
		}
		built.rows = append(built.rows, store.Destination{Name: d.Name, Kind: d.Kind, Enabled: d.Enabled, EventNames: events})
		if d.Enabled {
			built.lanes = append(built.lanes, laneOf(d, adapter))
		}
	}
	return built, nil
}

func laneOf(d config.Destination, adapter destination.Destination) jobs.Lane {
	lane := jobs.Lane{
		Name: d.Name, Destination: adapter, Purpose: d.Consent, Concurrency: d.Concurrency,
		RetryFor: d.RetryFor, MaxAge: d.MaxAge,
	}
	if d.Consent == config.None {
		lane.Purpose = ""
	}
	return lane
}

// adapterOf copies a destination's values into its adapter's own options.
func adapterOf(d config.Destination, logger *slog.Logger) (destination.Destination, error) {
	client := destination.ClientOptions{Timeout: d.Timeout, MaxConns: d.Concurrency}
	switch {
	case d.Spread != nil:
		return spreadOf(d.Spread, client, logger)
	case d.Webhook != nil:
		return webhookOf(d.Webhook, client)
	default:
		return nil, fmt.Errorf("kind %q has no adapter", d.Kind)
	}
}

func spreadOf(c *config.Spread, client destination.ClientOptions, logger *slog.Logger) (destination.Destination, error) {
	return spread.New(spread.Options{
		PublicKey: c.PublicKey.Reveal(), PrivateKey: c.PrivateKey.Reveal(),
		ValidateOn: c.ValidateOn, Identity: c.Identity,
		Grants: spread.Grants{Order: c.Grants.Order, Account: c.Grants.Account, EmailOptin: c.Grants.EmailOptin, SMSOptin: c.Grants.SMSOptin},
		Tags:   c.Tags, OrderTags: c.OrderTags, CustomFields: c.CustomFields,
		CartTrigger: c.CartTrigger, TimeZone: c.TimeZone,
		URLs: spread.URLs{
			CreateAccount: c.URLs.CreateAccount, UpdateAccount: c.URLs.UpdateAccount,
			CreateOrder: c.URLs.CreateOrder, UpdateOrder: c.URLs.UpdateOrder, Automations: c.URLs.Automations,
		},
		HTTP: client, Logger: logger,
	})
}

func webhookOf(c *config.Webhook, client destination.ClientOptions) (destination.Destination, error) {
	client.AllowPrivate = c.AllowPrivate
	return webhook.New(webhook.Options{
		URL: c.URL, Secret: c.Secret.Reveal(), PreviousSecret: c.PreviousSecret.Reveal(), HTTP: client,
	})
}

// shopOrders is the shop's orders table for the store; nil if it is not configured.
func shopOrders(cfg config.Config) *store.Orders {
	if cfg.Shop == nil {
		return nil
	}
	o := cfg.Shop.Orders
	return &store.Orders{
		Table: o.Table, Ref: o.Ref, PlacedAt: o.PlacedAt, ImportedAt: o.ImportedAt, ERPNumber: o.ERPNumber,
		ErasedAt: o.ErasedAt, AwaitingImport: o.AwaitingImport, EraseAfter: cfg.Retention.EraseAfterImport,
	}
}

// overdueGrace is how long after its due date an order's erasure counts as overdue: the time
// between two runs of a daily schedule, and a bit.
const overdueGrace = 26 * time.Hour

// newRegistry gathers all metrics of the process.
func newRegistry(cfg config.Config, pool *pgxpool.Pool, logger *slog.Logger) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		web.NewGauges(pool, shopOrders(cfg), overdueGrace, logger),
	)
	return registry
}
