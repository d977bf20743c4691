package webhook_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/webhook"
	"kvit/destination/webhook/webhooktest"
)

const (
	secret   = "whsec_ZXhhbXBsZS1vbmx5LXNpZ25pbmcta2V5LTMyYnl0ZXM="
	previous = "whsec_cHJldmlvdXMtb25seS1zaWduaW5nLWtleS0zMmJ5dGU="
	other    = "whsec_c29tZWJvZHktZWxzZXMtc2lnbmluZy1rZXktMzJieXQ="
)

func newWebhook(t *testing.T, options webhook.Options) *webhook.Webhook {
	t.Helper()
	options.HTTP.AllowPrivate = true
	if !options.Secret.IsSet() {
		options.Secret = config.NewSecret(secret)
	}
	w, err := webhook.New(options)
	require.NoError(t, err)
	return w
}

func receive(t *testing.T, fail func(int) webhooktest.Failure, secrets ...string) (*webhooktest.Receiver, string) {
	t.Helper()
	receiver, err := webhooktest.New(fail, secrets...)
	require.NoError(t, err)
	return receiver, destinationtest.Serve(t, receiver)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
			return newWebhook(t, webhook.Options{URL: baseURL + "/hook", HTTP: options})
		},
		Success:  receiver.ServeHTTP,
		Statuses: map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured, 410: destination.Gone},
		Volatile: []string{"Webhook-Timestamp", "Webhook-Signature"},
	})
}

func TestRequest(t *testing.T) {
	t.Parallel()
	url, last := destinationtest.Recording(t, 200, "")
	event := destinationtest.EventWith(t, "order_paid", `{"order": {"total": "749.00"}, "custom": {"b":1, "a": 1.50}}`)
	require.Equal(t, 200, destinationtest.Deliver(t, newWebhook(t, webhook.Options{URL: url}), event))
	header := last().Header
	require.Equal(t, `{"type":"order.paid","timestamp":"2025-03-04T10:15:30Z","data":{"event_key":"order_paid:E100042","name":"order_paid",`+
		`"order_ref":"E100042","payload":{"order": {"total": "749.00"}, "custom": {"b":1, "a": 1.50}}}}`, last().Body)
	require.Equal(t, "application/json", header.Get("Content-Type"))
	require.Equal(t, destination.UUID("order_paid:E100042").String(), header.Get("Webhook-Id"))
	require.Equal(t, "kvit", header.Get("User-Agent"))
	require.Empty(t, header.Get("Accept-Encoding"))
}

func TestType(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"order_paid": "order.paid", "newsletter_optin": "newsletter.optin", "search": "search",
		"custom:vip": "custom.vip", "custom:vip level.2": "custom.vip_level_2", "custom:snake_case": "custom.snake_case", "custom:é": "custom._",
	} {
		require.Equal(t, want, webhook.Type(name), name)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		known   string
		refused int
	}{"New": {secret, 0}, "Previous": {previous, 0}, "Other": {other, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver, url := receive(t, nil, test.known)
			w := newWebhook(t, webhook.Options{URL: url, PreviousSecret: config.NewSecret(previous)})
			_, _ = w.Send(t.Context(), destinationtest.Event(t, "search"))
			require.Equal(t, test.refused, receiver.Counts().Refused)
		})
	}
	t.Run("OnlyWhileSet", func(t *testing.T) {
		t.Parallel()
		_, url := receive(t, nil, previous)
		_, err := newWebhook(t, webhook.Options{URL: url}).Send(t.Context(), destinationtest.Event(t, "search"))
		require.EqualError(t, err, "the provider did not accept the credentials (HTTP 401)")
	})
}

func TestRepeatsAreCountedOnce(t *testing.T) {
	t.Parallel()
	ways := webhooktest.Every(2, webhooktest.ErrorBefore, webhooktest.ErrorAfter, webhooktest.ResetAfter, webhooktest.Throttle)
	receiver, url := receive(t, ways, secret)
	w := newWebhook(t, webhook.Options{URL: url})
	want := map[string]string{}
	for _, key := range []string{"a.1", "b", "c", "d", "e"} {
		event := destinationtest.Event(t, "search")
		event.Key = key
		want[destination.UUID(key).String()] = key
		require.Eventually(t, func() bool {
			_, err := w.Send(context.Background(), event)
			return err == nil
		}, 10*time.Second, time.Millisecond)
	}
	require.Equal(t, want, receiver.Events())
	require.Equal(t, webhooktest.Counts{Requests: 9, Counted: 5, Repeats: 2}, receiver.Counts())
}

func TestPrivateAddressIsRefused(t *testing.T) {
	t.Parallel()
	asked := false
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(server.Close)
	for _, url := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), strings.Replace(server.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)} {
		_, err := webhook.New(webhook.Options{URL: url, Secret: config.NewSecret(secret)})
		require.EqualError(t, err, "url: must not lead to a private or local address without allow_private: true")
		client := destination.NewClient(destination.ClientOptions{}) // as for a name that leads there
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
		require.NoError(t, err)
		_, refused := client.Do(req)
		require.Equal(t, &destination.Error{Kind: destination.Misconfigured, Reason: "the address is private or local, which is not allowed"}, refused)
	}
	require.False(t, asked)
}

func TestNewNamesTheWrongOption(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options webhook.Options
		want    string
	}{
		"NoURL":       {webhook.Options{Secret: config.NewSecret(secret)}, "url: must be an absolute URL"},
		"HTTP":        {webhook.Options{URL: "http://crm.example.com", Secret: config.NewSecret(secret)}, "url: must begin with https://"},
		"User":        {webhook.Options{URL: "https://user:word@crm.example.com", Secret: config.NewSecret(secret)}, "url: must not hold a user name or password"},
		"NotURL":      {webhook.Options{URL: "https://%zz", Secret: config.NewSecret(secret)}, "url: must be an absolute URL"},
		"NoSecret":    {webhook.Options{URL: "https://crm.example.com"}, "secret: must be whsec_ and the base64 of 24 to 64 bytes"},
		"ShortSecret": {webhook.Options{URL: "https://crm.example.com", Secret: config.NewSecret("whsec_c2hvcnQ=")}, "secret: must be whsec_ and the base64 of 24 to 64 bytes"},
		"Previous":    {webhook.Options{URL: "https://crm.example.com", Secret: config.NewSecret(secret), PreviousSecret: config.NewSecret("x")}, "previous_secret: must be whsec_ and the base64 of 24 to 64 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := webhook.New(test.options)
			require.EqualError(t, err, test.want)
		})
	}
}

func FuzzBody(f *testing.F) {
	f.Add("order_paid:E1", "order_paid", "E1", []byte(`{"custom":1}`))
	f.Add("a\"b\\\x00\xff", "custom:\n</script>", "", []byte(nil))
	f.Add("search:1", "search", "", []byte(" "))
	f.Fuzz(func(t *testing.T, key, name, ref string, raw []byte) {
		if _, rejected := destination.ParsePayload(name, raw); rejected != nil {
			return
		}
		body := webhook.Body(destination.Event{Key: key, Name: name, OrderRef: ref, OccurredAt: time.Unix(0, 1), Raw: raw})
		require.True(t, json.Valid(body))
		require.Regexp(t, `^[a-zA-Z0-9_.]+$`, webhook.Type(name))
	})
}
