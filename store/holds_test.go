package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// ordersTx is a transaction with an orders table whose reference is of the given type.
func ordersTx(t *testing.T, refType string) (pgx.Tx, store.Orders) {
	t.Helper()
	tx := storetest.Tx(t)
	_, err := tx.Exec(t.Context(), `
		create table public.orders (ref `+refType+` unique, placed timestamptz, imported timestamptz, number text, erased timestamptz)`)
	require.NoError(t, err)
	return tx, shopOrders()
}

func TestHolds(t *testing.T) {
	t.Parallel()
	tx, o := ordersTx(t, "text")
	_, err := tx.Exec(t.Context(), `insert into public.orders (ref, erased) values ('E1', null), ('E2', now())`)
	require.NoError(t, err)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)

	known, err := store.AddHold(t.Context(), tx, &o, store.Hold{OrderRef: "E1", Reason: "audit", PlacedBy: "ops"})
	require.NoError(t, err)
	require.True(t, known)
	known, err = store.AddHold(t.Context(), tx, &o, store.Hold{OrderRef: "E9", Reason: "audit", PlacedBy: "ops", ExpiresAt: &until})
	require.NoError(t, err)
	require.False(t, known)
	_, err = store.AddHold(t.Context(), tx, &o, store.Hold{OrderRef: "E2", Reason: "audit", PlacedBy: "ops"})
	require.ErrorIs(t, err, store.ErrErased)
	_, err = store.AddHold(t.Context(), tx, &o, store.Hold{OrderRef: "E1", Reason: "lawsuit", PlacedBy: "legal"})
	require.NoError(t, err, "a second hold replaces the first")

	holds, err := store.Holds(t.Context(), tx)
	require.NoError(t, err)
	require.Len(t, holds, 2)
	require.Equal(t, "lawsuit legal", holds[0].Reason+" "+holds[0].PlacedBy)
	require.Nil(t, holds[0].ExpiresAt)
	require.True(t, until.Equal(*holds[1].ExpiresAt))

	require.NoError(t, store.ReleaseHold(t.Context(), tx, "E1"))
	require.ErrorIs(t, store.ReleaseHold(t.Context(), tx, "E1"), store.ErrNotFound)
	holds, err = store.Holds(t.Context(), tx)
	require.NoError(t, err)
	require.Len(t, holds, 1)
}

func TestHoldOnAReferenceThatNoOrderCanHave(t *testing.T) {
	t.Parallel()
	tx, o := ordersTx(t, "integer")
	known, err := store.AddHold(t.Context(), tx, &o, store.Hold{OrderRef: "E1", Reason: "audit", PlacedBy: "ops"})
	require.NoError(t, err)
	require.False(t, known)
}

func TestHoldWithoutAShop(t *testing.T) {
	t.Parallel()
	known, err := store.AddHold(t.Context(), storetest.Tx(t), nil, store.Hold{OrderRef: "E1", Reason: "audit", PlacedBy: "ops"})
	require.NoError(t, err)
	require.False(t, known)
}
