package shops_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/shops"
)

// TestMarkers shows that no value of a person stands within a value of another.
func TestMarkers(t *testing.T) {
	t.Parallel()
	var markers []string
	for n := range 60 {
		markers = append(markers, shops.NewPerson(n, n%3 == 0).Markers()...)
	}
	for i, one := range markers {
		for j, other := range markers {
			require.False(t, i != j && strings.Contains(one, other), "%q is in %q", other, one)
		}
	}
	require.Equal(t, shops.NewPerson(7, true), shops.NewPerson(7, true))
}
