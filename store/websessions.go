package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// WebSession returns what a session of the pages holds; found is false if it has expired, was ended or never began.
func WebSession(ctx context.Context, db DB, tokenHash string) (data []byte, found bool, err error) {
	err = db.QueryRow(ctx, `
		select data from kvit.session where token_hash = $1 and ended_at is null and expires_at > now()`, tokenHash).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read session: %w", err)
	}
	return data, true, nil
}

// SaveWebSession writes a session, but not one that was ended meanwhile.
func SaveWebSession(ctx context.Context, db DB, tokenHash string, data []byte, expires time.Time) error {
	_, err := db.Exec(ctx, `
		insert into kvit.session as s (token_hash, data, expires_at) values ($1, $2, $3)
		on conflict (token_hash) do update set data = excluded.data, expires_at = excluded.expires_at where s.ended_at is null`,
		tokenHash, data, expires)
	if err != nil {
		return fmt.Errorf("save session: %w", err)
	}
	return nil
}

// TakeWebSession returns what a session holds and removes it, so that of two who ask one gets it. found is false if it has expired or
// is not there.
func TakeWebSession(ctx context.Context, db DB, tokenHash string) (data []byte, found bool, err error) {
	err = db.QueryRow(ctx, `
		delete from kvit.session where token_hash = $1 and ended_at is null and expires_at > now() returning data`, tokenHash).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("take session: %w", err)
	}
	return data, true, nil
}

// EndWebSession ends a session for all processes at once.
func EndWebSession(ctx context.Context, db DB, tokenHash string) error {
	_, err := db.Exec(ctx, `update kvit.session set data = '', ended_at = now() where token_hash = $1 and ended_at is null`, tokenHash)
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// DropOldSessions removes sessions that have expired, and entries of the audit that are older than keep. It removes a thousand
// of each at most, for it is called often.
func DropOldSessions(ctx context.Context, db DB, keep time.Duration) error {
	_, err := db.Exec(ctx, `
		with old as (
		    delete from kvit.audit where id in (
		        select id from kvit.audit where at < now() - make_interval(secs => $1) order by at limit 1000)
		)
		delete from kvit.session where token_hash in (
		    select token_hash from kvit.session where expires_at < now() order by expires_at limit 1000)`, keep.Seconds())
	if err != nil {
		return fmt.Errorf("remove old sessions: %w", err)
	}
	return nil
}
