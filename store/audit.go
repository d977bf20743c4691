package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// AuditEntry is what somebody did. It holds no personal data of customers.
type AuditEntry struct {
	Who     string // a user of the configuration; empty: nobody who is known
	Action  string // in few words, as in "pause"
	Subject string // a destination, a reference; empty: none
	Reason  string // empty: none was asked for
	Detail  any    // kept as JSON; nil: none
}

// Audit keeps an entry. Where the action has a transaction it belongs there.
func Audit(ctx context.Context, db DB, e AuditEntry) error {
	var detail *string
	if e.Detail != nil {
		text, err := json.Marshal(e.Detail)
		if err != nil {
			return fmt.Errorf("audit %s: %w", e.Action, err)
		}
		detail = new(string(text))
	}
	_, err := db.Exec(ctx, `
		insert into kvit.audit (who, action, subject, reason, detail) values ($1, $2, $3, $4, $5::text::jsonb)`,
		e.Who, e.Action, e.Subject, e.Reason, detail)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}

// Audited does work and its audit in one transaction, of the isolation that kvit's locks need. Without a name in the entry it is the
// database user's.
func Audited(ctx context.Context, pool *pgxpool.Pool, e AuditEntry, work func(tx pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) (err error) {
		if err := work(tx); err != nil {
			return err
		}
		if e.Who, err = actor(ctx, tx, e.Who); err != nil {
			return err
		}
		return Audit(ctx, tx, e)
	})
}

// AuditRecord is an entry as it was kept.
type AuditRecord struct {
	At      time.Time
	Who     string
	Action  string
	Subject string
	Reason  string
}

// LastAudited returns the newest entries, the newest first.
func LastAudited(ctx context.Context, db DB, limit int) ([]AuditRecord, error) {
	rows, _ := db.Query(ctx, `
		select at, who, action, subject, reason from kvit.audit order by id desc limit $1`, limit) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[AuditRecord])
	if err != nil {
		return nil, fmt.Errorf("read audit: %w", err)
	}
	return list, nil
}
