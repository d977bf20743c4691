package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/store/storetest"
)

// TestNamesAreTheSameEverywhere: what a configuration and an adapter can name, the database takes.
func TestNamesAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, destination.Names, config.EventNames)
	tx := storetest.Tx(t)
	for _, name := range destination.Names {
		var defect *string
		_, err := tx.Exec(t.Context(), `select kvit.track($1, $2)`, name+":E1", name)
		require.NoError(t, err)
		require.NoError(t, tx.QueryRow(t.Context(), `select defect from kvit.event where event_key = $1`, name+":E1").Scan(&defect))
		require.Nil(t, defect, name)
	}
}
