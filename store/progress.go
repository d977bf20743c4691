package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErasureProgress tells what is done already of orders that are not erased whole: rows by table, by
// reference. Orders of which nothing is done are not in it.
func ErasureProgress(ctx context.Context, tx pgx.Tx, refs []string) (map[string]map[string]int64, error) {
	rows, _ := tx.Query(ctx, `select order_ref, tables from kvit.erasure_progress where order_ref = any ($1)`, refs) // ForEachRow reports its error
	progress := map[string]map[string]int64{}
	var ref string
	var tables map[string]int64
	_, err := pgx.ForEachRow(rows, []any{&ref, &tables}, func() error {
		progress[ref] = tables
		tables = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read progress of erasure: %w", err)
	}
	return progress, nil
}

// SaveErasureProgress notes it.
func SaveErasureProgress(ctx context.Context, tx pgx.Tx, progress map[string]map[string]int64, now time.Time) error {
	var refs, tables []string
	for ref, counts := range progress {
		text, err := json.Marshal(counts)
		if err != nil {
			return fmt.Errorf("encode progress of erasure: %w", err)
		}
		refs, tables = append(refs, ref), append(tables, string(text))
	}
	_, err := tx.Exec(ctx, `
		insert into kvit.erasure_progress (order_ref, tables, updated_at)
		select ref, tables::jsonb, $3 from unnest($1::text[], $2::text[]) as p (ref, tables)
		on conflict (order_ref) do update set tables = excluded.tables, updated_at = excluded.updated_at`, refs, tables, now)
	if err != nil {
		return fmt.Errorf("save progress of erasure: %w", err)
	}
	return nil
}

// DropErasureProgress forgets the progress of orders, which their certificates count from now on.
func DropErasureProgress(ctx context.Context, tx pgx.Tx, refs []string) error {
	if _, err := tx.Exec(ctx, `delete from kvit.erasure_progress where order_ref = any ($1)`, refs); err != nil {
		return fmt.Errorf("drop progress of erasure: %w", err)
	}
	return nil
}

// PurgeErasureProgress forgets orders that the shop has no more, or under another reference, or that
// are erased: those of limit whose progress is from before the given time, in the order of their
// references, beginning after the given one. next is where to go on; it is empty at the end.
func PurgeErasureProgress(ctx context.Context, tx pgx.Tx, o *Orders, before time.Time, after string, limit int) (next string, err error) {
	rows, _ := tx.Query(ctx, `
		select order_ref from kvit.erasure_progress
		where order_ref > $1 and updated_at <= $2
		order by order_ref
		limit $3
		for update skip locked`, after, before, limit) // Collect reports its error
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", fmt.Errorf("find progress of erasure: %w", err)
	}
	if len(refs) == 0 {
		return "", nil
	}
	living, err := livingOrders(ctx, tx, o, refs)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `delete from kvit.erasure_progress where order_ref = any ($1) and order_ref <> all ($2)`, refs, append([]string{}, living...))
	if err != nil {
		return "", fmt.Errorf("purge progress of erasure: %w", err)
	}
	if len(refs) < limit {
		return "", nil
	}
	return refs[len(refs)-1], nil
}
