package fortnox

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a value is, it is read as it is written, or refused; none is made into another.
func FuzzText(f *testing.F) {
	for _, raw := range []string{`"WEB-1"`, `7`, `7.50`, `true`, `null`, `{}`, `[1]`, `"\u00e5"`, `1e400`, ``} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var value text
		if json.Unmarshal([]byte(raw), &value) != nil {
			return
		}
		var plain string
		if json.Unmarshal([]byte(raw), &plain) == nil {
			require.Equal(t, plain, string(value))
			return
		}
		if raw = strings.TrimSpace(raw); raw == "null" {
			raw = ""
		}
		require.Equal(t, raw, string(value))
	})
}
