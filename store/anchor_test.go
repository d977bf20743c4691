package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestCertificateHash(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		insert into kvit.erasure_certificate (number, order_ref, erased_at, policy_hash, row_counts, previous_hash, hash)
		values (1, 'E1', now(), '', '{}', '', 'first'), (2, 'E2', now(), '', '{}', '', 'second')`)
	for number, want := range map[int64]string{0: "", 1: "first", 2: "second", 3: ""} {
		hash, err := store.CertificateHash(t.Context(), tx, number)
		require.NoError(t, err)
		require.Equal(t, want, hash)
	}
}

// A connection that is not admitted is never used.
func TestAdmit(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	errOther := errors.New("another database")
	admitted := 0
	pool, err := store.Open(t.Context(), store.Options{URL: url, MaxConnections: 1, Admit: func(ctx context.Context, db store.DB) error {
		admitted++
		if admitted == 1 {
			return errOther
		}
		_, err := db.Exec(ctx, `create table if not exists public.seen ()`)
		return err
	}})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.ErrorIs(t, pool.Ping(t.Context()), errOther)
	mustExec(t, pool, `insert into public.seen default values`)
	mustExec(t, pool, `insert into public.seen default values`)
	require.Equal(t, 2, admitted, "once for each connection")
}
