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
	Exact       bool      `json:"exact"` // false: there are more, of events before the newest OmissionsRead
	Last        time.Time `json:"last"`
}

// OmissionsRead is how many receipts of a destination are read for FieldsLeftOut: a shop that writes nonsense in each
// order would have its operators wait for a week of them.
const OmissionsRead = 2_000

// FieldsLeftOut counts by the receipts of what was delivered since, of each destination by the newest
// OmissionsRead. They say it as destination.Omissions.Note does.
func FieldsLeftOut(ctx context.Context, db DB, since time.Time) ([]FieldLeftOut, error) {
	return FieldsLeftOutOf(ctx, db, "", since)
}

// FieldsLeftOutOf is FieldsLeftOut for one destination.
func FieldsLeftOutOf(ctx context.Context, db DB, destination string, since time.Time) ([]FieldLeftOut, error) {
	var list []FieldLeftOut
	err := uncompiled(ctx, db, func(tx pgx.Tx) (err error) {
		list, err = fieldsLeftOut(ctx, tx, destination, since)
		return err
	})
	return list, err
}

func fieldsLeftOut(ctx context.Context, db DB, destination string, since time.Time) ([]FieldLeftOut, error) {
	rows, _ := db.Query(ctx, `
		select d.name as destination, regexp_replace(part[1], '\[[0-9]+\]', '') as field,
		       (array_agg(part[2] order by r.finished_at desc))[1] as why, count(*) as count,
		       bool_and(r.read < $2) as exact, max(r.finished_at) as last
		from kvit.destination d
		cross join lateral (
		    select reason, finished_at, count(*) over () as read
		    from (
		        select reason, finished_at
		        from kvit.delivery
		        where destination = d.name and outcome = 'delivered' and reason is not null and finished_at > $1
		        order by finished_at desc
		        limit $2
		    ) newest
		) r
		cross join lateral regexp_matches(r.reason, '(?:^|; )without ([a-z0-9_.\[\]]+): ([^;]*)', 'g') as part
		where $3 = '' or d.name = $3
		group by 1, 2
		order by 1, 2`, since, OmissionsRead, destination) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[FieldLeftOut])
	if err != nil {
		return nil, fmt.Errorf("count fields that were left out: %w", err)
	}
	return list, nil
}
