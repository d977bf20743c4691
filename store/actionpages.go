package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DestinationNames lists all destinations that kvit has ever run with, those no longer configured included.
func DestinationNames(ctx context.Context, db DB) ([]string, error) {
	rows, _ := db.Query(ctx, `select name from kvit.destination order by name`) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list destinations: %w", err)
	}
	return list, nil
}

// Watermark is up to when the changes of an ERP have been read.
type Watermark struct {
	Source    string
	Stream    string
	ChangedAt time.Time
}

// ERPWatermarks lists the watermarks of all sources.
func ERPWatermarks(ctx context.Context, db DB) ([]Watermark, error) {
	rows, _ := db.Query(ctx, `select source, stream, changed_at from kvit.erp_watermark order by source, stream`) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Watermark])
	if err != nil {
		return nil, fmt.Errorf("read watermarks: %w", err)
	}
	return list, nil
}

// LastErasureRuns lists runs of the erasure, the newest first; those under way have not finished.
func LastErasureRuns(ctx context.Context, db DB, limit int) ([]ErasureRun, error) {
	rows, _ := db.Query(ctx, `
		select started_at, finished_at, orders, events, problem, braked_at
		from kvit.erasure_run
		order by id desc
		limit $1`, limit) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[ErasureRun])
	if err != nil {
		return nil, fmt.Errorf("list erasure runs: %w", err)
	}
	return list, nil
}

const certificateColumns = `
	select number, order_ref, erased_at, coalesce(clock, '') as clock, erp_imported_at, erp_order_number,
	       policy_hash, row_counts, verification, searched, found, unsearched, previous_hash, hash
	from kvit.erasure_certificate`

// LastCertificates lists certificates, the newest first: those before a number (0: from the newest), of one order if ref is not
// empty.
func LastCertificates(ctx context.Context, db DB, before int64, ref string, limit int) ([]Certificate, error) {
	rows, _ := db.Query(ctx, certificateColumns+`
		where ($1 = 0 or number < $1) and ($2 = '' or order_ref = $2)
		order by number desc
		limit $3`, before, OrderRef(ref), limit) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Certificate])
	if err != nil {
		return nil, fmt.Errorf("list certificates: %w", err)
	}
	return list, nil
}

// CertificateNumbered returns one certificate, with times in UTC, or ErrNotFound.
func CertificateNumbered(ctx context.Context, db DB, number int64) (Certificate, error) {
	rows, _ := db.Query(ctx, certificateColumns+` where number = $1`, number) // Collect reports its error
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Certificate])
	if errors.Is(err, pgx.ErrNoRows) {
		return Certificate{}, fmt.Errorf("certificate %d: %w", number, ErrNotFound)
	}
	if err != nil {
		return Certificate{}, fmt.Errorf("read certificate %d: %w", number, err)
	}
	c.ErasedAt = c.ErasedAt.UTC()
	if c.ERPImportedAt != nil {
		c.ERPImportedAt = new(c.ERPImportedAt.UTC())
	}
	return c, nil
}
