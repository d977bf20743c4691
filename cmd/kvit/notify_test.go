package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// alarmDesk takes messages of alarms that are signed, and answers with a status.
type alarmDesk struct {
	*httptest.Server

	mu     sync.Mutex
	bodies []string
}

func newAlarmDesk(t *testing.T, status int) *alarmDesk {
	t.Helper()
	d := &alarmDesk{}
	key, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if key.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.bodies = append(d.bodies, string(body))
		w.WriteHeader(status)
	}))
	t.Cleanup(d.Close)
	return d
}

// heard is what was taken so far, as type, alarm and subject. That nobody leads for a moment is left out: a test makes a minute of it.
func (d *alarmDesk) heard(t *testing.T) (list []string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, body := range d.bodies {
		var said struct {
			Type string `json:"type"`
			Data struct{ Alarm, Subject string }
		}
		require.NoError(t, json.Unmarshal([]byte(body), &said))
		if said.Data.Alarm == "KvitDown" {
			continue
		}
		list = append(list, said.Type+" "+said.Data.Alarm+" "+said.Data.Subject)
	}
	return list
}

func (d *alarmDesk) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.bodies, "\n")
}

func notifyYAML(channels ...string) string {
	return "database: {url: \"${DATABASE_URL}\"}\nops: {listen: \"%ADDRESS%\"}\nnotify:\n  " + strings.Join(channels, "\n  ") + "\n"
}

func channelYAML(name, url string) string {
	return fmt.Sprintf("%s: {kind: webhook, url: %q, secret: \"${CRM_SECRET}\", allow_private: true}", name, url)
}

// lookForAlarms has a kvit that runs look once more, as if a minute were over.
func lookForAlarms(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		update kvit.notification set seen_at = seen_at - interval '1 minute', missing_since = missing_since - interval '1 minute'`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into kvit.river_job (kind, args, queue, max_attempts, state) values ('notify', '{}', 'maintenance', 1, 'available')`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from kvit.river_job where kind = 'notify' and finalized_at is null`) == 0
	}, waitFor, tick)
}

// A kvit that is killed and started again, and another beside it, tell nobody twice.
func TestKilledKvitTellsNothingTwice(t *testing.T) {
	t.Parallel()
	d := newAlarmDesk(t, http.StatusNoContent)
	k := install(t, storetest.URL(t), notifyYAML(channelYAML("hook", d.URL))+`destinations:
  crm: {kind: webhook, url: "http://127.0.0.1:1", secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}
`)
	pool := k.pool()
	k.mustCall("migrate", "up")
	first := k.start()
	k.waitReady()
	_, err := pool.Exec(t.Context(), `update kvit.destination set disabled_at = now(), disabled_reason = 'it answered 410'`)
	require.NoError(t, err)
	opened := []string{"alarm.opened KvitDestinationDisabled crm"}
	lookForAlarms(t, pool)
	lookForAlarms(t, pool)
	require.Equal(t, opened, d.heard(t))

	require.NoError(t, first.Process.Kill())
	_ = first.Wait()
	second := k.start()
	k.waitReady()
	lookForAlarms(t, pool)
	lookForAlarms(t, pool)
	require.Equal(t, opened, d.heard(t))

	_, err = pool.Exec(t.Context(), `update kvit.destination set disabled_at = null, disabled_reason = null`)
	require.NoError(t, err)
	lookForAlarms(t, pool)
	lookForAlarms(t, pool)
	lookForAlarms(t, pool)
	require.Equal(t, append(opened, "alarm.resolved KvitDestinationDisabled crm"), d.heard(t))
	_, metrics := k.get("/metrics")
	require.Contains(t, metrics, `kvit_notifications_total{channel="hook"}`)
	require.Contains(t, metrics, `kvit_notification_failures_total{channel="hook"} 0`)
	k.stop(second)
}

func TestNotifyTest(t *testing.T) {
	t.Parallel()
	good, bad := newAlarmDesk(t, http.StatusOK), newAlarmDesk(t, http.StatusInternalServerError)
	k := install(t, "postgres://kvit@127.0.0.1:1/none", notifyYAML(channelYAML("bad", bad.URL), channelYAML("good", good.URL)))
	require.Equal(t, "good (webhook): taken: HTTP 200\n", k.mustCall("notify", "test", "good"))
	require.Equal(t, []string{"alarm.test KvitTest "}, good.heard(t))

	code, stdout, _ := k.call("notify", "test")
	require.Equal(t, exitFailed, code, "a channel that takes nothing")
	require.Equal(t, "bad (webhook): not taken: HTTP 500\ngood (webhook): taken: HTTP 200\n", stdout)
	require.Len(t, good.heard(t), 2, "that another is broken stops none")

	code, stdout, _ = k.call("notify", "test", "bad", "--json")
	require.Equal(t, exitFailed, code)
	require.JSONEq(t, `[{"channel": "bad", "kind": "webhook", "answer": "HTTP 500", "problem": "HTTP 500"}]`, stdout)

	code, _, stderr := k.call("notify", "test", "chat")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, `no channel is called "chat"`)
	k.write("database: {url: \"${DATABASE_URL}\"}\n")
	code, _, stderr = k.call("notify", "test")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "the configuration has no notify")
}

func TestCheckReachesChannels(t *testing.T) {
	t.Parallel()
	d := newAlarmDesk(t, http.StatusOK)
	k := install(t, storetest.URL(t), notifyYAML(channelYAML("good", d.URL), channelYAML("nobody", "http://127.0.0.1:1"),
		`private: {kind: webhook, url: "https://10.1.2.3/x", secret: "${CRM_SECRET}"}`,
		`post: {kind: mail, host: 127.0.0.1, port: 1, tls: none, from: kvit@example.com, to: [ops@example.com]}`))
	k.mustCall("migrate", "up")
	code, stdout, _ := k.call("check")
	require.Equal(t, exitFailed, code)
	require.Contains(t, stdout, "problem: line 5: notify.nobody: connection refused")
	require.Contains(t, stdout, "problem: line 6: notify.private: url: leads to a private or local address, which needs allow_private: true")
	require.Contains(t, stdout, "problem: line 7: notify.post: connection refused")
	require.NotContains(t, stdout, "notify.good")
	require.Empty(t, d.heard(t), "a check sends nothing")

	_, stdout, _ = k.call("check", "--offline")
	require.NotContains(t, stdout, "connection refused")
	require.Contains(t, stdout, "notify.private", "what can be seen without a connection")
}
