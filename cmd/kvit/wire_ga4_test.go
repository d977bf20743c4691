package main

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/ga4/ga4test"
)

// TestGA4DeletionIsWired: from the configuration to Google's side.
func TestGA4DeletionIsWired(t *testing.T) {
	t.Parallel()
	server := ga4test.NewDeletions("123456", nil)
	url := serve(t, server)
	values := map[string]string{"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "SECRET": "example-secret", "ACCOUNT": ga4test.Credentials(url)}
	cfg, err := config.Parse("kvit.yaml", []byte(`database: {url: "${DATABASE_URL}"}
destinations:
  ga:
    kind: ga4
    measurement_id: G-ABC1234567
    api_secret: ${SECRET}
    deletion: {property_id: "123456", credentials: "${ACCOUNT}", base_url: "`+url+`"}
`), func(name string) string { return values[name] }, kinds)
	require.NoError(t, err)
	adapter, err := adapterOf(cfg.Destinations[0], slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	redactor, ok := destination.RedactorOf(adapter)
	require.True(t, ok)
	_, err = redactor.Redact(t.Context(), destinationtest.Redaction())
	require.NoError(t, err)
	require.Len(t, server.Deleted(), 3)
}
