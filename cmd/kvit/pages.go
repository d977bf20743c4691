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

// pages are those for operators; nil if the configuration lets nobody log in.
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
	if !d.cfg.Ops.Pages() {
		return nil, nil
	}
	grace, err := overdueAfter(d.cfg)
	if err != nil {
		return nil, err
	}
	guard, err := access.New(access.Options{
		DB: d.pool, Users: accounts(d.cfg.Ops.Users), OIDC: oidcOf(d.cfg.Ops), Secure: d.cfg.Ops.TLS != nil || d.cfg.Ops.BehindProxy > 0,
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

// oidcOf is the login by a provider; nil: there is none.
func oidcOf(o config.Ops) *access.OIDC {
	if o.OIDC == nil {
		return nil
	}
	roles := map[string]access.Role{}
	for value, role := range o.OIDC.Roles {
		roles[value] = roleOf(role == "operate")
	}
	return &access.OIDC{
		Issuer: o.OIDC.Issuer, ClientID: o.OIDC.ClientID, ClientSecret: o.OIDC.ClientSecret.Reveal(), PublicURL: o.PublicURL,
		Scopes: o.OIDC.Scopes, RolesClaim: o.OIDC.RolesClaim, Roles: roles, NameClaim: o.OIDC.NameClaim, EmailDomains: o.OIDC.EmailDomains,
	}
}

func roleOf(operates bool) access.Role {
	if operates {
		return access.Operate
	}
	return access.Read
}

func accounts(users []config.User) (list []access.Account) {
	for _, u := range users {
		list = append(list, access.Account{User: access.User{Name: u.Name, Role: roleOf(u.Operates)}, PasswordHash: u.PasswordHash.Reveal()})
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
