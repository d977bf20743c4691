package webhook_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/webhook"
)

// BenchmarkSend posts an event of 3.3 kB to a receiver in the same process, 16 at a time.
func BenchmarkSend(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	b.Cleanup(server.Close)
	w, err := webhook.New(webhook.Options{URL: server.URL, Secret: config.NewSecret(secret), HTTP: destination.ClientOptions{AllowPrivate: true, MaxConns: 16}})
	require.NoError(b, err)
	event := destinationtest.EventWith(b, "order_paid", `{"custom": "`+strings.Repeat("x", 3300)+`"}`)
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.Send(b.Context(), event); err != nil {
				b.Error(err)
			}
		}
	})
}
