package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestCertificates(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	number, hash, err := store.LastCertificate(t.Context(), tx)
	require.NoError(t, err)
	require.Zero(t, number)
	require.Empty(t, hash)

	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	erpNumber := "SO-1"
	var list []store.Certificate
	for i := range 3 {
		list = append(list, store.Certificate{
			Number: int64(i + 1), OrderRef: fmt.Sprintf("E%d", i), ErasedAt: at, Clock: "imported", ERPImportedAt: new(at.Add(-time.Hour)), Verification: map[string]int64{"left": 0},
			PolicyHash: "policy", RowCounts: map[string]int64{"public.orders": 1, "kvit.event": 0, `public."a\"<map[string]int64{"public.orders": 1, "kvit.event": 0},>ø`: int64(i)},
			PreviousHash: fmt.Sprintf("h%d", i), Hash: fmt.Sprintf("h%d", i+1),
		})
	}
	list[1].ERPOrderNumber = &erpNumber
	list[1].Searched, list[1].Found, list[1].Unsearched = map[string]int64{"places": 2}, map[string]int64{"a.b": 1}, map[string]string{"c.d": "time over"}
	list[2].Clock, list[2].ERPImportedAt, list[2].Verification = "", nil, nil // an old one, but for the time
	require.NoError(t, store.AppendCertificates(t.Context(), tx, list))

	number, hash, err = store.LastCertificate(t.Context(), tx)
	require.NoError(t, err)
	require.Equal(t, int64(3), number)
	require.Equal(t, "h3", hash)

	var got []store.Certificate
	require.NoError(t, store.EachCertificate(t.Context(), tx, func(c store.Certificate) error {
		got = append(got, c)
		return nil
	}))
	require.Equal(t, list, got)

	enough := errors.New("enough")
	seen := 0
	require.ErrorIs(t, store.EachCertificate(t.Context(), tx, func(store.Certificate) error {
		seen++
		return enough
	}), enough)
	require.Equal(t, 1, seen)
}

func TestCertificatesAreAppendOnly(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{`update kvit.erasure_certificate set order_ref = 'x'`, `delete from kvit.erasure_certificate`} {
		tx := storetest.Tx(t)
		require.NoError(t, store.AppendCertificates(t.Context(), tx, []store.Certificate{{Number: 1, OrderRef: "E1", RowCounts: map[string]int64{}}}))
		_, err := tx.Exec(t.Context(), statement)
		require.ErrorContains(t, err, "append only")
	}
}
