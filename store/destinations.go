package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Destination is a configured destination as the trigger and operators see it.
type Destination struct {
	Name       string
	Kind       string
	Enabled    bool
	EventNames []string
}

// SyncDestinations makes kvit.destination equal to the configuration. A destination that the
// configuration no longer names is disabled and keeps its row while jobs of it may wait. A
// destination disabled by its receiver's 410 stays so: only ResumeDestination ends that.
func SyncDestinations(ctx context.Context, db DB, list []Destination, notify bool) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		names := make([]string, 0, len(list))
		for _, d := range list {
			names = append(names, d.Name)
			_, err := tx.Exec(ctx, `
				insert into kvit.destination (name, kind, enabled, event_names, notify)
				values ($1, $2, $3, $4, $5)
				on conflict (name) do update
				set kind = excluded.kind, enabled = excluded.enabled, event_names = excluded.event_names,
				    notify = excluded.notify, removed_at = null, updated_at = now()
				where (kvit.destination.kind, kvit.destination.enabled, kvit.destination.event_names, kvit.destination.notify)
				      is distinct from (excluded.kind, excluded.enabled, excluded.event_names, excluded.notify)
				   or kvit.destination.removed_at is not null`,
				d.Name, d.Kind, d.Enabled, d.EventNames, notify)
			if err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `
			update kvit.destination
			set enabled = false, removed_at = now(), held_since = null, held_until = null, held_reason = null, updated_at = now()
			where removed_at is null and not (name = any ($1))`, names)
		if err != nil {
			return err
		}
		// A process that crashed may have left a hold behind; one that still holds says so again.
		_, err = tx.Exec(ctx, `
			update kvit.destination set held_since = null, held_until = null, held_reason = null
			where held_until < now()`)
		if err != nil {
			return err
		}
		_, err = KeepPaused(ctx, tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("sync destinations: %w", err)
	}
	return nil
}

// DisableDestination notes that the receiver wants no more events, and pauses the destination's queue. It returns false if
// that was noted before.
func DisableDestination(ctx context.Context, db DB, name, reason string) (first bool, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			update kvit.destination set disabled_at = now(), disabled_reason = $2, updated_at = now()
			where name = $1 and disabled_at is null`, name, reason)
		if err != nil {
			return err
		}
		first = tag.RowsAffected() == 1
		return pauseQueue(ctx, tx, name)
	})
	if err != nil {
		return false, fmt.Errorf("disable destination %s: %w", name, err)
	}
	return first, nil
}

// HoldDestination notes that a destination is left alone until a time, and why.
func HoldDestination(ctx context.Context, db DB, name string, until time.Time, reason string) error {
	_, err := db.Exec(ctx, `
		update kvit.destination
		set held_since = coalesce(held_since, now()), held_until = $2, held_reason = $3
		where name = $1`, name, until, reason)
	if err != nil {
		return fmt.Errorf("hold destination %s: %w", name, err)
	}
	return nil
}

// ReleaseDestination notes that events flow to a destination again.
func ReleaseDestination(ctx context.Context, db DB, name string) error {
	_, err := db.Exec(ctx, `
		update kvit.destination set held_since = null, held_until = null, held_reason = null
		where name = $1 and held_since is not null`, name)
	if err != nil {
		return fmt.Errorf("release destination %s: %w", name, err)
	}
	return nil
}
