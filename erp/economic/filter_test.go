package economic

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erp/economic/economictest"
)

// Whatever a reference holds, the filter for it is taken, finds it, and finds nothing else.
func FuzzFilter(f *testing.F) {
	for _, ref := range []string{"WEB-1", "$or:", "a$", "$(", "*", "[1,2]", "$eq:$null:", "a b+c%20&d#e", "ø", "\x00\xff"} {
		f.Add(ref, "WEB-2")
	}
	f.Fuzz(func(t *testing.T, ref, other string) {
		if ref == "" || other == "" {
			t.Skip()
		}
		var found, foreign bool
		for _, filter := range filters("references.other", []string{ref, "WEB-3"}) {
			plain, err := url.QueryUnescape(filter)
			require.NoError(t, err)
			one, ok := economictest.Finds(plain, ref)
			require.True(t, ok, "refused")
			another, _ := economictest.Finds(plain, other)
			found, foreign = found || one, foreign || another
		}
		require.True(t, found)
		require.Equal(t, strings.EqualFold(other, ref) || strings.EqualFold(other, "WEB-3"), foreign)
	})
}
