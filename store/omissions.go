package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// FieldLeftOut is how many events went to a destination without a member of their payload, since what the shop
// wrote there cannot be read.
type FieldLeftOut struct {
	Destination string    `json:"destination"`
	Field       string    `json:"field"` // such as customer.phone, or order.items.quantity, whichever line it was in
	Why         string    `json:"why"`   // of the last event
	Count       int64     `json:"count"`
	Last        time.Time `json:"last"`
}

// FieldsLeftOut counts by the receipts of what was delivered since. They say it as destination.Omissions.Note
// does.
func FieldsLeftOut(ctx context.Context, db DB, since time.Time) ([]FieldLeftOut, error) {
	rows, _ := db.Query(ctx, `
		select destination, regexp_replace(part[1], '\[[0-9]+\]', '') as field,
		       (array_agg(part[2] order by finished_at desc))[1] as why, count(*) as count, max(finished_at) as last
		from kvit.delivery
		cross join lateral regexp_matches(reason, '(?:^|; )without ([a-z0-9_.\[\]]+): ([^;]*)', 'g') as part
		where outcome = 'delivered' and reason is not null and finished_at > $1
		group by 1, 2
		order by 1, 2`, since) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[FieldLeftOut])
	if err != nil {
		return nil, fmt.Errorf("count fields that were left out: %w", err)
	}
	return list, nil
}
