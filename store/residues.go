package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ResidueFinding is a column in which values of erased orders stand.
type ResidueFinding struct {
	Table, Column string
	Rows          int64
	OrderRefs     []string
	RowKeys       []string // of the rows; nil: they cannot be told
	Certificates  []int64  // numbers of the supplements
}

// NoteResidue writes down a finding, or that it is still there. A runID of 0 stands for a request of a person.
func NoteResidue(ctx context.Context, tx pgx.Tx, runID int64, now time.Time, f ResidueFinding) error {
	_, err := tx.Exec(ctx, `
		insert into kvit.erasure_residue as r (table_name, column_name, rows, order_refs, row_keys, certificates, run_id, found_at, last_seen_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
		on conflict (table_name, column_name) where gone_at is null do update
		set rows = excluded.rows, last_seen_at = excluded.last_seen_at,
		    order_refs = array(select distinct unnest(r.order_refs || excluded.order_refs) order by 1),
		    row_keys = case when r.row_keys is not null and excluded.row_keys is not null then
		        array(select distinct unnest(r.row_keys || excluded.row_keys) order by 1) end,
		    certificates = r.certificates || excluded.certificates`,
		f.Table, f.Column, f.Rows, f.OrderRefs, f.RowKeys, f.Certificates, nullIfZero(runID), now)
	if err != nil {
		return fmt.Errorf("note residue: %w", err)
	}
	return nil
}

func nullIfZero(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

// ResidueStatus is a finding that is not known to be gone.
type ResidueStatus struct {
	ID         int64     `json:"-"`
	Table      string    `json:"table"`
	Column     string    `json:"column"`
	Rows       int64     `json:"rows"` // when they were seen last
	OrderRefs  []string  `json:"order_refs"`
	RowKeys    []string  `json:"row_keys"` // null: the rows cannot be told
	FoundAt    time.Time `json:"found_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
}

// OpenResidues lists the findings that are not known to be gone.
func OpenResidues(ctx context.Context, db DB) ([]ResidueStatus, error) {
	rows, _ := db.Query(ctx, `
		select id, table_name as table, column_name as column, rows, order_refs, row_keys, found_at, last_seen_at
		from kvit.erasure_residue
		where gone_at is null
		order by table_name, column_name`) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[ResidueStatus])
	if err != nil {
		return nil, fmt.Errorf("read residue: %w", err)
	}
	return list, nil
}

// ResidueGone tells whether nothing of a finding can be there any more: its column or all of its rows are gone, or
// hold null. What stands there instead of null, kvit cannot judge, since it has kept no value to compare with.
func ResidueGone(ctx context.Context, tx pgx.Tx, r ResidueStatus) (bool, error) {
	var there bool
	var key, keyType *string
	err := tx.QueryRow(ctx, `
		select exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = $2 and a.attnum > 0 and not a.attisdropped),
		       k.attname::text, format_type(k.atttypid, null)
		from (select to_regclass($1)::oid as oid) c
		left join pg_index i on i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1
		left join pg_attribute k on k.attrelid = c.oid and k.attnum = i.indkey[0]`, QuoteTable(r.Table), r.Column).Scan(&there, &key, &keyType)
	if err != nil {
		return false, fmt.Errorf("look for %s.%s: %w", r.Table, r.Column, err)
	}
	if !there {
		return true, nil
	}
	conditions := []string{QuoteColumn(r.Column) + " is not null"}
	var args arguments
	if key != nil && r.RowKeys != nil {
		conditions = append(conditions, QuoteColumn(*key)+" = any ("+args.add(r.RowKeys)+"::text[]::"+*keyType+"[])")
	}
	var left bool
	err = tx.QueryRow(ctx, `select exists (select from `+QuoteTable(r.Table)+` where `+strings.Join(conditions, " and ")+`)`, args...).Scan(&left)
	if err != nil {
		return false, fmt.Errorf("look for %s.%s: %w", r.Table, r.Column, err)
	}
	return !left, nil
}

// CloseResidue notes that a finding is gone. by is who says so; empty: kvit has looked.
func CloseResidue(ctx context.Context, tx pgx.Tx, id int64, now time.Time, by string, certificates []int64) error {
	_, err := tx.Exec(ctx, `
		update kvit.erasure_residue set gone_at = $2, gone_by = $3, certificates = certificates || $4::bigint[] where id = $1`,
		id, now, nullIfEmpty(by), certificates)
	if err != nil {
		return fmt.Errorf("close residue: %w", err)
	}
	return nil
}

// CountResidues counts the findings that are not known to be gone.
func CountResidues(ctx context.Context, db DB) (int64, error) {
	var n int64
	if err := db.QueryRow(ctx, `select count(*) from kvit.erasure_residue where gone_at is null`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count residue: %w", err)
	}
	return n, nil
}
