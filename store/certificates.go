package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Certificate is the proof of one erasure.
type Certificate struct {
	Number         int64
	OrderRef       string
	ErasedAt       time.Time
	Clock          string
	ERPImportedAt  *time.Time
	ERPOrderNumber *string
	PolicyHash     string
	RowCounts      map[string]int64
	Verification   map[string]int64
	Searched       map[string]int64  // of supplements; nil in others, as are the next two
	Found          map[string]int64  // rows by "schema.table.column"
	Unsearched     map[string]string // reason by table
	PreviousHash   string
	Hash           string
}

// LastCertificate tells where the chain of certificates ends; 0 and "" if there is none. To continue
// the chain, read it under LockErasure.
func LastCertificate(ctx context.Context, db DB) (number int64, hash string, err error) {
	err = db.QueryRow(ctx, `
		select number, hash from kvit.erasure_certificate order by number desc limit 1`).Scan(&number, &hash)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, "", fmt.Errorf("read last certificate: %w", err)
	}
	return number, hash, nil
}

// AppendCertificates writes sealed certificates.
func AppendCertificates(ctx context.Context, tx pgx.Tx, list []Certificate) error {
	return AppendSealed(ctx, tx, len(list), func(i int) Certificate { return list[i] })
}

// AppendSealed writes n certificates. Each is asked for when its turn comes, while the server stores those before it.
func AppendSealed(ctx context.Context, tx pgx.Tx, n int, seal func(i int) Certificate) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"kvit", "erasure_certificate"},
		[]string{"number", "order_ref", "erased_at", "clock", "erp_imported_at", "erp_order_number",
			"policy_hash", "row_counts", "verification", "searched", "found", "unsearched", "previous_hash", "hash"},
		pgx.CopyFromSlice(n, func(i int) ([]any, error) {
			c := seal(i)
			return []any{c.Number, c.OrderRef, c.ErasedAt, nullIfEmpty(c.Clock), c.ERPImportedAt, c.ERPOrderNumber,
				c.PolicyHash, countsJSON(c.RowCounts), countsJSON(c.Verification), c.Searched, c.Found, c.Unsearched, c.PreviousHash, c.Hash}, nil
		}))
	if err != nil {
		return fmt.Errorf("append certificates: %w", err)
	}
	return nil
}

// countsJSON is a map of counts as a document; nil: null. Through reflection it costs a fifth of what kvit itself does for
// an erasure.
func countsJSON(counts map[string]int64) []byte {
	if counts == nil {
		return nil
	}
	text := []byte{'{'}
	for key, n := range counts {
		if len(text) > 1 {
			text = append(text, ',')
		}
		name, _ := json.Marshal(key) // a string always encodes
		text = append(append(text, name...), ':')
		text = strconv.AppendInt(text, n, 10)
	}
	return append(text, '}')
}

func nullIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// EachCertificate calls do for every certificate in the order of their numbers, without holding them
// all in memory, with times in UTC. An error of do ends it and is returned as it is.
func EachCertificate(ctx context.Context, db DB, do func(Certificate) error) error {
	rows, err := db.Query(ctx, `
		select number, order_ref, erased_at, coalesce(clock, '') as clock, erp_imported_at, erp_order_number,
		       policy_hash, row_counts, verification, searched, found, unsearched, previous_hash, hash
		from kvit.erasure_certificate
		order by number`)
	if err != nil {
		return fmt.Errorf("read certificates: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		c, err := pgx.RowToStructByName[Certificate](rows)
		if err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
		c.ErasedAt = c.ErasedAt.UTC()
		if c.ERPImportedAt != nil {
			c.ERPImportedAt = new(c.ERPImportedAt.UTC())
		}
		if err := do(c); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read certificates: %w", err)
	}
	return nil
}
