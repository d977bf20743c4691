package klaviyo_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/klaviyo"
	"kvit/destination/klaviyo/klaviyotest"
)

func TestRedactConformance(t *testing.T) {
	t.Parallel()
	for name, person := range map[string]func() destination.Redaction{
		"Email": nil,
		"Phone": func() destination.Redaction {
			r := destinationtest.Redaction()
			r.Email = ""
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			destinationtest.RunRedact(t, destinationtest.RedactHarness{
				New: func(t *testing.T, baseURL string, client destination.ClientOptions) destination.Redactor {
					k, err := klaviyo.New(klaviyo.Options{APIKey: config.NewSecret(apiKey), BaseURL: baseURL, HTTP: client})
					require.NoError(t, err)
					return k
				},
				Success:   klaviyotest.New(apiKey, nil).ServeHTTP,
				Redaction: person,
				Statuses:  map[int]destination.Kind{405: destination.Misconfigured, 410: destination.Misconfigured},
			})
		})
	}
}

func TestRedactBody(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		person destination.Redaction
		want   string
	}{
		"EmailAlone": {
			destination.Redaction{Email: "jane.doe@example.com", Phone: "+12025550123", CustomerID: "cust-1042"},
			`{"email":"jane.doe@example.com"}`,
		},
		"Phone": {destination.Redaction{Phone: "+12025550123", CustomerID: "cust-1042"}, `{"phone_number":"+12025550123"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, last := destinationtest.Recording(t, http.StatusAccepted, "")
			code, err := newKlaviyo(t, url, klaviyo.Options{}).Redact(t.Context(), test.person)
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, code)
			require.Equal(t, "/api/data-privacy-deletion-jobs", last().Path)
			require.Equal(t, `{"data":{"type":"data-privacy-deletion-job","attributes":{"profile":{"data":{"type":"profile","attributes":`+
				test.want+`}}}}}`, last().Body)
		})
	}
}

func TestRedactNeedsAnAddress(t *testing.T) {
	t.Parallel()
	k, server := setup(t, klaviyo.Options{}, nil)
	_, err := k.Redact(t.Context(), destination.Redaction{CustomerID: "cust-1042", OrderRefs: []string{"E100042"}})
	require.EqualError(t, err, "customer.email: is required to have a profile deleted, or customer.phone")
	require.Zero(t, server.Counts().Requests)
}

// TestRedactedProfileIsGone: with what was said of it before, and a repeat is taken as the first was.
func TestRedactedProfileIsGone(t *testing.T) {
	t.Parallel()
	k, server := setup(t, klaviyo.Options{}, nil)
	event := destinationtest.EventWith(t, "order_paid", janesOrder)
	destinationtest.Deliver(t, k, event)
	for range 2 {
		_, err := k.Redact(t.Context(), destination.Redaction{Email: "jane.doe@example.com"})
		require.NoError(t, err)
	}
	_, known := server.Event(event.Key)
	require.False(t, known)
	require.Equal(t, 2, server.Deleted("jane.doe@example.com"))
	require.Equal(t, klaviyotest.Counts{Requests: 3, Deletions: 2}, server.Counts())
}

func TestRedactReasons(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   string
		kind   destination.Kind
	}{
		"NoProfile": {http.StatusNotFound, "", "Klaviyo knows no such profile or address (HTTP 404)", destination.Rejected},
		"Plain":     {http.StatusBadRequest, "", "the provider rejected the request to erase (HTTP 400)", destination.Rejected},
		"Field": {
			http.StatusBadRequest, `{"errors":[{"code":"invalid","source":{"pointer":"/data/attributes/profile/data/attributes/email"}}]}`,
			"Klaviyo rejected customer.email (HTTP 400)", destination.Rejected,
		},
		"Key": {http.StatusBadRequest, `{"errors":[{"code":"permission_denied"}]}`, "Klaviyo did not accept the key (HTTP 400)", destination.Unauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKlaviyo(t, destinationtest.Answering(t, test.status, test.body), klaviyo.Options{})
			_, err := k.Redact(t.Context(), destination.Redaction{Email: "jane.doe@example.com"})
			require.EqualError(t, err, test.want)
			var known *destination.Error
			require.ErrorAs(t, err, &known)
			require.Equal(t, test.kind, known.Kind)
		})
	}
}
