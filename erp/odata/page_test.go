package odata

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever an ERP answers, reading it does not panic, and a value is text only if it is one.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{
		`{"value":[{"No":"1"}],"@odata.nextLink":"x?$skiptoken=1"}`, `[{"a":1}]`, `{"d":{"results":[{"a":null}],"__next":"y"}}`, `{"d":{"d":{"d":[]}}}`,
		`{"value":[null]}`, `{"value":[[1]]}`, `{"error":{}}`, `{}`, `null`, `[null]`, `"x"`, `{"value":[{"a":"\ud800"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		var p page
		if json.Unmarshal(data, &p) != nil {
			return
		}
		c := collection{Ref: "a", Number: "No", Type: "t"}
		for _, r := range p.rows {
			_ = r.key(c)
			_ = c.kindOf(r)
			_ = r.text("a")
		}
	})
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	copenhagen, err := time.LoadLocation("Europe/Copenhagen")
	require.NoError(t, err)
	for text, want := range map[string]string{
		"2026-11-20T10:05:12.5Z":            "2026-11-20T10:05:12.5Z",
		"2026-11-20T10:05:12+01:00":         "2026-11-20T09:05:12Z",
		"2026-11-20T11:05:12":               "2026-11-20T10:05:12Z",
		"2026-07-20T11:05:12.117":           "2026-07-20T09:05:12.117Z",
		"2026-11-20":                        "2026-11-19T23:00:00Z",
		"/Date(1795428312000)/":             "2026-11-23T10:05:12Z",
		"/Date(1795428312000+0100)/":        "2026-11-23T10:05:12Z",
		"0001-01-01T00:00:00Z":              "0001-01-01T00:00:00Z",
		"":                                  "",
		"yesterday":                         "",
		"2026-13-01T00:00:00Z":              "",
		"/Date(99999999999999999999)/":      "",
		"2026-11-20T10:05:12Z' or 1 eq 1--": "",
	} {
		at, ok := parseTime(text, copenhagen)
		require.Equal(t, want != "", ok, text)
		if ok {
			require.Equal(t, want, at.Format(time.RFC3339Nano), text)
		}
	}
}
