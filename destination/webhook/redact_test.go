package webhook_test

import (
	"os"
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

func TestRedactConformance(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	destinationtest.RunRedact(t, destinationtest.RedactHarness{
		New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Redactor {
			return newWebhook(t, webhook.Options{URL: baseURL + "/hook", HTTP: options})
		},
		Success:  receiver.ServeHTTP,
		Statuses: map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured, 410: destination.Gone},
		Volatile: []string{"Webhook-Timestamp", "Webhook-Signature"},
	})
}

var requestedAt = time.Date(2025, 4, 5, 8, 7, 8, 0, time.FixedZone("", 2*60*60))

func TestRedactRequest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		person destination.Redaction
		data   string
	}{
		"All": {
			destination.Redaction{
				Email: "jane.doe@example.com", CustomerID: "cust-1042", Phone: "+12025550123",
				ClientIDs: []string{"1234567890.1700000000"}, OrderRefs: []string{"E100042", "E100043"},
			},
			`{"customer":{"id":"cust-1042","email":"jane.doe@example.com","phone":"+12025550123"},` +
				`"ga_client_ids":["1234567890.1700000000"],"order_refs":["E100042","E100043"]}`,
		},
		"Email":     {destination.Redaction{Email: "<jane>@example.com"}, `{"customer":{"email":"<jane>@example.com"}}`},
		"OrderRefs": {destination.Redaction{OrderRefs: []string{"E100042"}}, `{"order_refs":["E100042"]}`},
		"ClientIDs": {destination.Redaction{ClientIDs: []string{"1.2"}}, `{"ga_client_ids":["1.2"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, last := destinationtest.Recording(t, 200, "")
			test.person.ID, test.person.RequestedAt = "kvit.erasure_task:17", requestedAt
			_, err := newWebhook(t, webhook.Options{URL: url}).Redact(t.Context(), test.person)
			require.NoError(t, err)
			require.Equal(t, `{"type":"customer.redacted","timestamp":"2025-04-05T06:07:08Z","data":`+test.data+`}`, last().Body)
			require.Equal(t, destination.UUID("kvit.erasure_task:17").String(), last().Header.Get("Webhook-Id"))
		})
	}
}

// TestRedactedPage: the page for receivers shows what is sent.
func TestRedactedPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/destinations/webhook.md")
	require.NoError(t, err)
	url, last := destinationtest.Recording(t, 200, "")
	_, err = newWebhook(t, webhook.Options{URL: url}).Redact(t.Context(), destination.Redaction{
		ID: "kvit.erasure_task:17", RequestedAt: requestedAt,
		Email: "jane.doe@example.com", CustomerID: "cust-1042", Phone: "+12025550123",
		ClientIDs: []string{"1234567890.1700000000"}, OrderRefs: []string{"E100042", "E100043"},
	})
	require.NoError(t, err)
	require.Contains(t, strings.ReplaceAll(string(page), "\n ", ""), last().Body)
	require.Contains(t, string(page), "webhook-id: "+last().Header.Get("Webhook-Id")+"\n")
}

// TestRedactReceived: the receiver that drops repeats drops those of redactions as well.
func TestRedactReceived(t *testing.T) {
	t.Parallel()
	receiver, url := receive(t, nil, secret)
	w := newWebhook(t, webhook.Options{URL: url, PreviousSecret: config.NewSecret(previous)})
	for range 2 {
		_, err := w.Redact(t.Context(), destinationtest.Redaction())
		require.NoError(t, err)
	}
	require.Equal(t, webhooktest.Counts{Requests: 2, Repeats: 1, Redacted: 1}, receiver.Counts())
	got := receiver.Redactions()[destination.UUID(destinationtest.Redaction().ID).String()]
	require.Equal(t, destinationtest.Redaction().Email, got.Customer.Email)
	require.Equal(t, destinationtest.Redaction().OrderRefs, got.OrderRefs)
}

// TestRedactedTypeIsItsOwn: no event can be taken for it.
func TestRedactedTypeIsItsOwn(t *testing.T) {
	t.Parallel()
	for _, name := range append([]string{"custom:redacted", "custom:customer.redacted"}, destination.Names...) {
		require.NotEqual(t, webhook.RedactedType, webhook.Type(name))
	}
}
