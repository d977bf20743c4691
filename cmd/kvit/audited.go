package main

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/store"
)

// audited does the work of a command and its audit in one transaction. Without a name in the entry it is the one by which the shell
// knows the operator, or else the database user's.
func (a *app) audited(ctx context.Context, pool *pgxpool.Pool, e store.AuditEntry, work func(tx pgx.Tx) error) error {
	e.Who = cmp.Or(e.Who, a.getenv("SUDO_USER"), a.getenv("USER"))
	return store.Audited(ctx, pool, e, work)
}

// askedFor audits what a command is about to do in transactions of its own, or past the database: what cannot be audited is not done.
func (a *app) askedFor(ctx context.Context, pool *pgxpool.Pool, e store.AuditEntry) error {
	return a.audited(ctx, pool, e, func(pgx.Tx) error { return nil })
}
