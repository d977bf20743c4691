package web_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/web"
)

func TestProfilesAreForThisMachine(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "shop.example:0", "localhost:0", "nowhere"} {
		_, err := web.ListenProfiles(t.Context(), address, quiet)
		require.ErrorIs(t, err, web.ErrNotLoopback, address)
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	server, err := web.ListenProfiles(t.Context(), "127.0.0.1:0", quiet)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	for _, c := range []struct {
		path, host string
		status     int
	}{
		{"/debug/pprof/", "", 200},
		{"/debug/pprof/heap", "", 200},
		{"/debug/pprof/goroutine", "localhost:6060", 200},
		{"/debug/pprof/profile?seconds=1", "", 200},
		{"/debug/pprof/heap", "rebound.example:6060", 403}, // a page that gave its name this address
		{"/debug/pprof/heap", "rebound.example", 403},
		{"/metrics", "", 404},
		{"/debug/pprof/cmdline", "", 404}, // not registered: what the command line holds is no profile
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Addr()+c.path, nil)
		require.NoError(t, err)
		request.Host = c.host
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, response.Body)
		require.NoError(t, response.Body.Close())
		require.Equal(t, c.status, response.StatusCode, "%s of %s", c.path, c.host)
	}
}
