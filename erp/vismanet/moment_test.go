package vismanet

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Times are read with or without an offset and parts of a second, to the instant, or refused.
func FuzzMoment(f *testing.F) {
	for _, text := range []string{"2026-11-20T10:05:12.117Z", "2026-11-20T11:05:12+01:00", "2026-11-20T10:05:12.1170000", "2026-11-20T10:05:12", "2026-11-20", "", "0001-01-01T00:00:00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := moment(text)
		if err != nil {
			require.Zero(t, at)
			return
		}
		again, err := moment(at.Format(time.RFC3339Nano))
		require.NoError(t, err)
		require.True(t, at.Equal(again))
		require.Equal(t, time.UTC, at.Location())
	})
}

func TestMoment(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 11, 20, 10, 5, 12, 117_000_000, time.UTC)
	for _, text := range []string{"2026-11-20T10:05:12.117Z", "2026-11-20T11:05:12.117+01:00", "2026-11-20T10:05:12.1170000"} {
		at, err := moment(text)
		require.NoError(t, err)
		require.True(t, want.Equal(at), text)
	}
}
