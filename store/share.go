package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ShareLink is a link by which somebody without login sees what one destination was sent.
type ShareLink struct {
	ID          int64
	Destination string
	Note        string // for whom
	CreatedBy   string
	CreatedAt   time.Time
	ExpiresAt   time.Time
	RevokedAt   *time.Time
	RevokedBy   *string
	UsedAt      *time.Time // about when it was last opened; nil: never
	Open        bool       // neither expired nor revoked
}

const shareColumns = `id, destination, note, created_by, created_at, expires_at, revoked_at, revoked_by, used_at,
	revoked_at is null and expires_at > now() as open`

// CreateShare notes a link by the SHA-256 hash of its token, and who made it, and returns its id. It returns ErrNotFound if there is
// no such destination.
func CreateShare(ctx context.Context, db DB, destination, note, who string, tokenHash []byte, valid time.Duration) (id int64, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			insert into kvit.share (destination, note, created_by, token_hash, expires_at)
			select name, $2, $3, $4, now() + make_interval(secs => $5)
			from kvit.destination where name = $1 and removed_at is null
			returning id`, destination, note, who, tokenHash, valid.Seconds()).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return Audit(ctx, tx, AuditEntry{Who: who, Action: "share created", Subject: destination, Reason: note, Detail: map[string]any{"share": id}})
	})
	if err != nil {
		return 0, fmt.Errorf("create share of %s: %w", destination, err)
	}
	return id, nil
}

// RevokeShare ends a link at once, in all processes. It returns ErrNotFound if there is no such link that is open.
func RevokeShare(ctx context.Context, db DB, id int64, who string) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var destination string
		err := tx.QueryRow(ctx, `
			update kvit.share set revoked_at = now(), revoked_by = $2
			where id = $1 and revoked_at is null and expires_at > now()
			returning destination`, id, who).Scan(&destination)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return Audit(ctx, tx, AuditEntry{Who: who, Action: "share revoked", Subject: destination, Detail: map[string]any{"share": id}})
	})
	if err != nil {
		return fmt.Errorf("revoke share %d: %w", id, err)
	}
	return nil
}

// sharesShown is how many links are listed.
const sharesShown = 200

// Shares lists links, the newest first, those that have ended included.
func Shares(ctx context.Context, db DB) ([]ShareLink, error) {
	rows, _ := db.Query(ctx, `select `+shareColumns+` from kvit.share order by id desc limit $1`, sharesShown) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[ShareLink])
	if err != nil {
		return nil, fmt.Errorf("list shares: %w", err)
	}
	return list, nil
}

// OpenShare returns the link of a token's hash, and notes that it was opened, to the hour. It returns ErrNotFound for one that was
// never made, has expired or is revoked, or whose destination the configuration no longer names.
func OpenShare(ctx context.Context, db DB, tokenHash []byte) (ShareLink, error) {
	rows, _ := db.Query(ctx, `
		select `+shareColumns+`
		from kvit.share s
		where token_hash = $1 and revoked_at is null and expires_at > now()
		  and exists (select from kvit.destination d where d.name = s.destination and d.removed_at is null)`, tokenHash) // Collect reports its error
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[ShareLink])
	if errors.Is(err, pgx.ErrNoRows) {
		return ShareLink{}, fmt.Errorf("open share: %w", ErrNotFound)
	}
	if err != nil {
		return ShareLink{}, fmt.Errorf("open share: %w", err)
	}
	_, err = db.Exec(ctx, `
		update kvit.share set used_at = now() where id = $1 and (used_at is null or used_at < now() - interval '1 hour')`, s.ID)
	if err != nil {
		return ShareLink{}, fmt.Errorf("note use of share: %w", err)
	}
	return s, nil
}

// Refusal is why deliveries to a destination ended without success.
type Refusal struct {
	Outcome string
	Reason  string // in kvit's words; empty: none
	Count   int64
	Last    time.Time
}

// refusalsShown is how many kinds of refusals are told of.
const refusalsShown = 100

// Refusals counts, by reason, what a destination did not get: of the newest OmissionsRead that were rejected, of those that failed, and
// of those that expired, what ended since.
func Refusals(ctx context.Context, db DB, destination string, since time.Time) ([]Refusal, error) {
	newest := func(outcome string) string { // a literal: the partial indexes are for certain outcomes
		return `(select outcome, reason, finished_at from kvit.delivery
			where outcome = '` + outcome + `' and destination = $1 and finished_at > $2 order by finished_at desc limit $3)`
	}
	rows, _ := db.Query(ctx, `
		select outcome, coalesce(reason, '') as reason, count(*) as count, max(finished_at) as last
		from (`+newest("rejected")+` union all `+newest("failed")+` union all `+newest("expired")+`) r
		group by 1, 2
		order by 1 desc, count(*) desc, 2
		limit $4`, destination, since, OmissionsRead, refusalsShown) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Refusal])
	if err != nil {
		return nil, fmt.Errorf("count refusals: %w", err)
	}
	return list, nil
}
