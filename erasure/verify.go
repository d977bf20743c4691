package erasure

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/erasure/proof"
	"kvit/store"
)

// Verify computes the hashes of the database's certificates anew. The error is a *proof.BrokenError where
// the chain does not hold.
func Verify(ctx context.Context, db store.DB) (proof.Chain, error) {
	return verifyEach(ctx, db, func(proof.Certificate) error { return nil })
}

// verifyEach calls do for every certificate that holds, in the order of the numbers.
func verifyEach(ctx context.Context, db store.DB, do func(proof.Certificate) error) (chain proof.Chain, err error) {
	err = store.EachCertificate(ctx, db, func(c store.Certificate) error {
		certificate := proof.Certificate(c)
		if err := chain.Verify(certificate); err != nil {
			return err
		}
		return do(certificate)
	})
	return chain, err
}

// ExportCertificates verifies the certificates and writes them as proof.ReadCertificates reads them. All are
// of one snapshot, so that an erasure meanwhile is in it as a whole or not at all.
func ExportCertificates(ctx context.Context, pool *pgxpool.Pool, w io.Writer) (chain proof.Chain, err error) {
	buffered := bufio.NewWriter(w)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	err = store.Snapshot(ctx, pool, func(tx pgx.Tx) error {
		chain, err = verifyEach(ctx, tx, func(c proof.Certificate) error { return encoder.Encode(c) })
		return err
	})
	if err != nil {
		return chain, err
	}
	if err := buffered.Flush(); err != nil {
		return chain, fmt.Errorf("write certificates: %w", err)
	}
	return chain, nil
}
