package main

import (
	"context"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination/webhook/webhooktest"
	"kvit/store/storetest"
)

// A process that is stopped in the midst of its work, as by a machine that is suspended, is taken for one that has crashed: another
// one does its work. When it goes on it finds out, and writes nothing a second time.
func TestFrozenAndThawed(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(webhooktest.Every(17, webhooktest.ErrorBefore, webhooktest.ResetAfter), secret)
	require.NoError(t, err)
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	url := storetest.URL(t)
	first, second := install(t, url, webhookYAML(server)), install(t, url, webhookYAML(server))
	first.mustCall("migrate", "up")
	pool := first.pool()
	ctx, stop := context.WithCancel(t.Context())
	sold := keepSelling(ctx, pool, 2*time.Millisecond)

	frozen := first.start()
	first.waitReady()
	running := func() int {
		return count(t, pool, `select count(*) from kvit.river_job where state = 'running' and kind = 'deliver_event'`)
	}
	require.Eventually(t, func() bool {
		if running() == 0 {
			return false
		}
		require.NoError(t, frozen.Process.Signal(syscall.SIGSTOP))
		if running() > 0 {
			return true
		}
		require.NoError(t, frozen.Process.Signal(syscall.SIGCONT))
		return false
	}, waitFor, time.Millisecond, "it is stopped with jobs in hand")

	outlast(t, pool)
	second.start()
	second.waitReady()
	delivered := func() int { return count(t, pool, `select count(*) from kvit.delivery where outcome = 'delivered'`) }
	target := delivered() + 100
	require.Eventually(t, func() bool { return delivered() >= target }, 2*waitFor, tick, "the other one goes on")

	require.NoError(t, frozen.Process.Signal(syscall.SIGCONT))
	first.waitReady()
	stop()
	requireAllDelivered(t, pool, receiver, <-sold)
	first.stop(frozen)
}
