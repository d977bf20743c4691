package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// CancelRequested tells whether somebody with a right to kvit.river_job has asked for a running job to be cancelled, and
// in which queue it is.
func CancelRequested(ctx context.Context, db DB, jobID int64) (queue string, requested bool, err error) {
	err = db.QueryRow(ctx, `
		select queue from kvit.river_job
		where id = $1 and state = 'running' and metadata ? 'cancel_attempted_at'`, jobID).Scan(&queue)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read job %d: %w", jobID, err)
	}
	return queue, true, nil
}

// QueueSettings are what kvit.river_queue says of a queue.
type QueueSettings struct {
	Name     string
	Paused   bool
	Metadata []byte // JSON
}

// ReadQueues reads one queue, or all if name is "*".
func ReadQueues(ctx context.Context, db DB, name string) ([]QueueSettings, error) {
	rows, _ := db.Query(ctx, `
		select name, paused_at is not null as paused, metadata
		from kvit.river_queue
		where name = $1 or $1 = '*'
		order by name`, name) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[QueueSettings])
	if err != nil {
		return nil, fmt.Errorf("read queues: %w", err)
	}
	return list, nil
}

// HasLeader tells whether one of River's clients leads at the moment.
func HasLeader(ctx context.Context, db DB) (bool, error) {
	var found bool
	err := db.QueryRow(ctx, `select exists (select from kvit.river_leader where expires_at > now())`).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("look for a leader: %w", err)
	}
	return found, nil
}
