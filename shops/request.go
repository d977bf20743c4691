package shops

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requestPatience bounds one request to a shop.
const requestPatience = time.Minute

// request is what a visitor sends to a shop: JSON, or nothing.
type request struct {
	method string
	url    string
	header map[string]string
	body   any
}

// send returns the answer, read to its end.
func (r request) send(t testing.TB) (*http.Response, []byte) {
	t.Helper()
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		require.NoError(t, err)
		body = bytes.NewReader(text)
	}
	sent, err := http.NewRequestWithContext(t.Context(), r.method, r.url, body)
	require.NoError(t, err)
	sent.Header.Set("Content-Type", "application/json")
	for name, value := range r.header {
		if value != "" {
			sent.Header.Set(name, value)
		}
	}
	client := http.Client{Timeout: requestPatience}
	answer, err := client.Do(sent)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, text
}

// bearer is the header of a session's token, or nothing without one.
func bearer(token string) string {
	if token == "" {
		return ""
	}
	return "Bearer " + token
}
