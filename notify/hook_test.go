package notify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/notify"
	"kvit/status"
	"kvit/store"
)

// What verifies a destination's webhooks verifies these, by a library and by the lines of docs/destinations/webhook.md.
func TestWebhookIsSignedAsDestinationsAre(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	c := hookTo("hook", d.URL)
	c.PreviousSecret = config.NewSecret("whsec_YW5vdGhlci1leGFtcGxlLXNpZ25pbmcta2V5LTAwMQ==")
	w.disabled("crm")
	w.rounds(2, w.process("a", c))
	require.Len(t, d.bodies, 1)
	for _, secret := range []config.Secret{c.Secret, c.PreviousSecret} {
		key, err := standardwebhooks.NewWebhook(secret.Reveal())
		require.NoError(t, err)
		require.NoError(t, key.Verify([]byte(d.bodies[0]), d.headers[0]))
		require.Error(t, key.Verify([]byte(d.bodies[0]+" "), d.headers[0]))

		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), "whsec_"))
		require.NoError(t, err)
		mac := hmac.New(sha256.New, raw)
		mac.Write([]byte(d.headers[0].Get("Webhook-Id") + "." + d.headers[0].Get("Webhook-Timestamp") + "." + d.bodies[0]))
		require.Contains(t, strings.Fields(d.headers[0].Get("Webhook-Signature")), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	var said struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(d.bodies[0]), &said))
	require.WithinDuration(t, time.Now(), said.Timestamp, 5*time.Minute)
	require.Equal(t, "KvitDestinationDisabled", said.Data["alarm"])
	require.Equal(t, "critical", said.Data["severity"])
	require.Equal(t, "it answered 410", said.Data["detail"])
	require.Contains(t, said.Data["do"], "kvit resume crm")
	require.Equal(t, d.headers[0].Get("Webhook-Id"), said.Data["opened_id"])
	require.Nil(t, said.Data["until"])
}

func TestSlack(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	w.is(status.Status{At: time.Now(), Running: true, ShopMisfits: []string{"a < b & c > d"}})
	w.rounds(2, w.process("a", config.Channel{Name: "chat", Kind: config.SlackChannel, Label: "shop <dk>", URL: config.NewSecret(d.URL), AllowPrivate: true}))
	require.Len(t, d.bodies, 1)
	var said map[string]string
	require.NoError(t, json.Unmarshal([]byte(d.bodies[0]), &said))
	require.Len(t, said, 1)
	lines := strings.Split(said["text"], "\n")
	require.Equal(t, "[shop &lt;dk&gt;] CRITICAL: SHOP DOES NOT FIT", lines[0])
	require.Equal(t, "a &lt; b &amp; c &gt; d", lines[1], "nothing of it is markup to Slack")
	require.Contains(t, said["text"], "Do: Put the table's present names into kvit.yaml")
}

func TestTeams(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	d.answer(http.StatusAccepted) // as workflows do
	w.is(status.Status{At: time.Now(), Running: true, Residue: []store.ResidueStatus{{Table: "public.old_orders", Column: "e_mail"}}})
	w.rounds(3, w.process("a", config.Channel{Name: "team", Kind: config.TeamsChannel, Label: "kvit", URL: config.NewSecret(d.URL), AllowPrivate: true}))
	require.Len(t, d.bodies, 1)
	type card struct {
		Schema  string `json:"$schema"`
		Type    string
		Version string
		Body    []struct {
			Type, Text string
			Wrap       bool
		}
	}
	var said struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     card
		}
	}
	require.NoError(t, json.Unmarshal([]byte(d.bodies[0]), &said))
	require.Equal(t, "message", said.Type)
	require.Len(t, said.Attachments, 1)
	require.Equal(t, "application/vnd.microsoft.card.adaptive", said.Attachments[0].ContentType)
	require.Equal(t, "AdaptiveCard", said.Attachments[0].Content.Type)
	require.Equal(t, `[kvit] CRITICAL: COPIES LEFT: public.old\_orders.e\_mail`, strings.ReplaceAll(said.Attachments[0].Content.Body[0].Text, `\[kvit\]`, "[kvit]"))
	for _, block := range said.Attachments[0].Content.Body {
		require.Equal(t, "TextBlock", block.Type)
		require.True(t, block.Wrap)
	}
}

func TestHooksThatAreNotTaken(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{
		302: "HTTP 302: the address has moved, and redirects are not followed",
		403: "HTTP 403: the address or the secret is not accepted",
		404: "HTTP 404: nothing takes messages at this address",
		500: "HTTP 500",
	} {
		d := newDesk(t)
		d.answer(code)
		sender, err := notify.NewSender(hookTo("hook", d.URL))
		require.NoError(t, err)
		_, err = sender.Send(t.Context(), notify.TestMessage("kvit", "id", time.Now()))
		require.EqualError(t, err, want)
	}
	sender, err := notify.NewSender(hookTo("hook", "http://127.0.0.1:1/marker"))
	require.NoError(t, err)
	_, err = sender.Send(t.Context(), notify.TestMessage("kvit", "id", time.Now()))
	require.EqualError(t, err, "connection refused")
	require.EqualError(t, sender.Reach(t.Context()), "connection refused")
}

// The one text of an alarm that a person writes is the reason of a pause. It is to hold nobody's data, and what looks like that is masked.
func TestReasonOfAPauseIsMasked(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := status.Status{At: now, Running: true, Destinations: []store.DestinationStatus{
		{Name: "crm", Enabled: true, PausedAt: new(now.Add(-2 * time.Hour)), PausedReason: new("asked by jane.doe@example.com, +1 202 555 0123"), PausedBy: new("anna")},
		{Name: "ga4", Enabled: true, PausedAt: new(now.Add(-59 * time.Minute)), PausedReason: new("a moment")},
		{Name: "off", PausedAt: new(now.Add(-2 * time.Hour)), PausedReason: new("switched off, too")},
		{Name: "gone", Enabled: true, RemovedAt: new(now), PausedAt: new(now.Add(-2 * time.Hour)), PausedReason: new("removed")},
	}}
	w, d := newWorld(t), newDesk(t)
	w.is(s)
	w.rounds(2, w.process("a", hookTo("hook", d.URL)))
	require.Equal(t, []string{"alarm.opened crm"}, d.heard(t), "for an hour a pause is nobody's business")
	for _, personal := range []string{"jane", "doe@", "example.com", "555", "0123", "anna"} {
		require.NotContains(t, d.bodies[0], personal)
	}
	require.Contains(t, d.bodies[0], "asked by j…@…")
}
