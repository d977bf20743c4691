package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// CertificateHash gives the hash of the certificate with this number; "" if there is none.
func CertificateHash(ctx context.Context, db DB, number int64) (string, error) {
	var hash string
	err := db.QueryRow(ctx, `select hash from kvit.erasure_certificate where number = $1`, number).Scan(&hash)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("read hash of certificate %d: %w", number, err)
	}
	return hash, nil
}
