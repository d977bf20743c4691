package erasure

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure/proof"
)

// What is exported is the chain that the database has, and holds without it.
func TestExportCertificates(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E<1>", 31*day)
	s.order("E2", 31*day)
	_, err := s.Run(t.Context())
	require.NoError(t, err)

	var lines bytes.Buffer
	exported, err := ExportCertificates(t.Context(), s.db, &lines)
	require.NoError(t, err)
	require.EqualValues(t, 2, exported.Number)
	var read proof.Chain
	require.NoError(t, proof.ReadCertificates(bytes.NewReader(lines.Bytes()), read.Verify))
	require.Equal(t, exported, read)
	there, err := Verify(t.Context(), s.db)
	require.NoError(t, err)
	require.Equal(t, exported, there)
	require.Contains(t, lines.String(), `"order_ref":"E<1>"`)
}

func TestVerifyFindsWhatWasChanged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	_, err := s.Run(t.Context())
	require.NoError(t, err)
	s.exec(`
		set session_replication_role = replica;
		update kvit.erasure_certificate set erased_at = now();
		set session_replication_role = origin`)
	var broken *proof.BrokenError
	_, err = Verify(t.Context(), s.db)
	require.ErrorAs(t, err, &broken)
	require.EqualValues(t, 1, broken.Number)
	_, err = ExportCertificates(t.Context(), s.db, &bytes.Buffer{})
	require.ErrorAs(t, err, &broken)
}
