package destination_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

func TestSHA256Hex(t *testing.T) {
	t.Parallel()
	require.Equal(t, "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d", destination.SHA256Hex("jane.doe@example.com"))
	require.Equal(t, "8da383bc604b8dc1d42d29de903598df0185dd5e45a179eac007db52238cbe8c", destination.SHA256Hex("københavnk"))
}

// TestNobodyHasNoHash: the hash of an empty text would be the same for everybody.
func TestNobodyHasNoHash(t *testing.T) {
	t.Parallel()
	require.Empty(t, destination.Hashed(""))
	require.Nil(t, destination.HashedList(""))
	require.Equal(t, destination.SHA256Hex("a"), destination.Hashed("a"))
	require.Equal(t, []string{destination.SHA256Hex("a")}, destination.HashedList("a"))
}
