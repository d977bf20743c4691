package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// counter is a provider that counts everything it is sent, as Google Analytics does with page views,
// and answers badly now and then, before or after it has counted.
type counter struct {
	mu       sync.Mutex
	requests int
	counted  map[string]int // by the key within the event
}

func (c *counter) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body struct {
		Events []struct {
			Params struct {
				Key string `json:"key"`
			} `json:"params"`
		} `json:"events"`
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		return
	}
	c.mu.Lock()
	c.requests++
	n := c.requests
	if n%20 == 15 { // not soon before a failure, which as the answer to a probe would hold for 10 s
		c.mu.Unlock()
		w.Header().Set("Retry-After", "1")
		http.Error(w, "not now", http.StatusTooManyRequests)
		return
	}
	for _, e := range body.Events {
		c.counted[e.Params.Key]++
	}
	c.mu.Unlock()
	switch n % 20 {
	case 5:
		http.Error(w, "counted all the same", http.StatusBadGateway)
	case 10:
		panic(http.ErrAbortHandler)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// TestNothingIsCountedTwiceWhereRepeatsCount kills kvit again and again while page views go to a
// provider that would count each repeat: none is counted twice, each has a receipt, and what is not
// known to be counted says so.
func TestNothingIsCountedTwiceWhereRepeatsCount(t *testing.T) {
	t.Parallel()
	google := &counter{counted: map[string]int{}}
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	k := install(t, storetest.URL(t), fmt.Sprintf(`
database: {url: "${DATABASE_URL}"}
ops: {listen: "%%ADDRESS%%"}
delivery: {timeout: 5s}
destinations:
  ga4: {kind: ga4, measurement_id: G-ABC1234567, api_secret: "${CRM_SECRET}", base_url: %q, params: {key: custom.key}}
`, server.URL))
	k.mustCall("migrate", "up")
	pool := k.pool()
	process := k.start() // makes the destination known
	k.waitReady()
	const events = 600
	_, err := pool.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, payload, consent)
		select 'page_viewed:' || i, 'page_viewed',
		       jsonb_build_object('client', jsonb_build_object('ga_client_id', '1234567890.17000000' || i % 40, 'page_url', 'https://shop.example.com/'),
		                          'custom', jsonb_build_object('key', 'k' || i)),
		       '{"analytics": true}'
		from generate_series(1, $1::integer) i`, events)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(3, 3))
	for range 5 {
		target := count(t, pool, `select count(*) from kvit.delivery`) + 1 + random.IntN(80)
		require.Eventually(t, func() bool {
			return count(t, pool, `select count(*) from kvit.delivery`) >= target
		}, 2*waitFor, tick)
		require.NoError(t, process.Process.Kill())
		_ = process.Wait()
		outlast(t, pool)
		process = k.start()
	}
	require.Eventually(t, func() bool {
		require.NoError(t, hasten(t.Context(), pool))
		return count(t, pool, `select count(*) from kvit.delivery`) == events
	}, 3*waitFor, 5*tick)

	google.mu.Lock()
	defer google.mu.Unlock()
	for key, times := range google.counted {
		require.Equal(t, 1, times, "%s", key)
	}
	rows, err := pool.Query(t.Context(), `
		select e.payload #>> '{custom,key}', r.outcome, r.unclear, coalesce(r.reason, '')
		from kvit.delivery r join kvit.event e on e.id = r.event_id`)
	require.NoError(t, err)
	defer rows.Close()
	stopped := 0
	for rows.Next() {
		var key, outcome, reason string
		var unclear bool
		require.NoError(t, rows.Scan(&key, &outcome, &unclear, &reason))
		switch {
		case unclear:
			stopped++
			require.Equal(t, "failed", outcome)
			require.True(t, strings.HasSuffix(reason, "(on_ambiguous: stop)"), reason)
		default:
			require.Equal(t, "delivered", outcome, reason)
			require.Equal(t, 1, google.counted[key], "%s is delivered, so it has been counted", key)
		}
	}
	require.NoError(t, rows.Err())
	require.Positive(t, stopped)
	require.Zero(t, count(t, pool, `select count(*) from kvit.delivery_attempt`))
	t.Logf("%d events, %d counted, %d not known to be counted", events, len(google.counted), stopped)
}
