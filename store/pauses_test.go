package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestStoppedDestinations(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	list := func() (names []string) {
		t.Helper()
		stopped, err := store.StoppedDestinations(ctx, tx)
		require.NoError(t, err)
		for _, s := range stopped {
			names = append(names, s.Name+": "+s.Reason)
		}
		return names
	}
	require.NoError(t, store.SyncDestinations(ctx, tx, []store.Destination{
		{Name: "ads", Enabled: true, EventNames: []string{}}, {Name: "crm", Enabled: true, EventNames: []string{}}, {Name: "mail", Enabled: true, EventNames: []string{}},
	}, true))
	require.Empty(t, list())
	require.NoError(t, store.PauseDestination(ctx, tx, store.Pause{Destination: "crm", Who: "anna", Reason: "moves"}))
	first, err := store.DisableDestination(ctx, tx, "ads", "gone (HTTP 410)")
	require.NoError(t, err)
	require.True(t, first)
	_, err = tx.Exec(ctx, `insert into kvit.river_queue (name, paused_at, updated_at) values ('deliver_mail', now(), now())`)
	require.NoError(t, err)
	require.Equal(t, []string{"ads: gone (HTTP 410)", "crm: moves", "mail: " + store.PausedPastKvit}, list())

	statuses, err := store.DestinationStatuses(ctx, tx)
	require.NoError(t, err)
	require.Nil(t, statuses[0].PausedAt, "it is its receiver that stopped it")
	require.Equal(t, "anna", *statuses[1].PausedBy)
	require.Equal(t, store.PausedPastKvit, *statuses[2].PausedReason)

	for _, name := range []string{"ads", "crm", "mail"} {
		require.NoError(t, store.ResumeDestination(ctx, tx, store.Pause{Destination: name, Who: "anna", Reason: "mended"}))
	}
	require.Empty(t, list())
	require.ErrorIs(t, store.PauseDestination(ctx, tx, store.Pause{Destination: "nowhere", Reason: "x"}), store.ErrNotFound)
}
