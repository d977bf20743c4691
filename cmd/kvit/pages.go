package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"kvit/config"
	"kvit/delivery"
	"kvit/web/access"
	"kvit/web/pages"
)

// pages are those for operators; nil if the configuration has no users for them.
func (d *daemon) pages(ctx context.Context, client *river.Client[pgx.Tx]) (http.Handler, error) {
	site, err := d.site(client)
	if site == nil || err != nil {
		return nil, err
	}
	if err := site.Start(ctx); err != nil {
		return nil, err
	}
	return site.Handler(), nil
}

func (d *daemon) site(client *river.Client[pgx.Tx]) (*pages.Site, error) {
	if len(d.cfg.Ops.Users) == 0 {
		return nil, nil
	}
	grace, err := overdueAfter(d.cfg)
	if err != nil {
		return nil, err
	}
	guard, err := access.New(access.Options{
		DB: d.pool, Users: accounts(d.cfg.Ops.Users), Secure: d.cfg.Ops.TLS != nil || d.cfg.Ops.BehindProxy > 0,
		BehindProxy: d.cfg.Ops.BehindProxy, KeepAudit: d.cfg.Retention.ReceiptsAfter, Logger: d.logger,
	})
	if err != nil {
		return nil, err
	}
	return pages.New(pages.Options{
		Pool: d.pool, Reads: d.reads, Watch: d.watch, Anchor: d.anchorProblems, Since: time.Now(), Config: d.cfg, Orders: shopOrders(d.cfg), Destinations: pageDestinations(d.cfg, d.lanes),
		Eraser: d.eraser, River: client, Guard: guard, Grace: grace, Logger: d.logger,
	})
}

func accounts(users []config.User) (list []access.Account) {
	for _, u := range users {
		role := access.Read
		if u.Operates {
			role = access.Operate
		}
		list = append(list, access.Account{User: access.User{Name: u.Name, Role: role}, PasswordHash: u.PasswordHash.Reveal()})
	}
	return list
}

func pageDestinations(cfg config.Config, lanes []delivery.Settings) (list []pages.Destination) {
	byName := map[string]*delivery.Settings{}
	for i := range lanes {
		byName[lanes[i].Name] = &lanes[i]
	}
	for _, d := range cfg.Destinations {
		list = append(list, pages.Destination{Name: d.Name, Kind: d.Kind, Enabled: d.Enabled, Lane: byName[d.Name]})
	}
	return list
}

// opsTLS is the listener's certificate; nil if it has none.
func opsTLS(o config.Ops) (*tls.Config, error) {
	if o.TLS == nil {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(o.TLS.Cert, o.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("read ops.tls: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, nil
}
