package generic_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/generic"
	"kvit/destination/generic/generictest"
)

const secret = "secret-of-the-provider"

var environment = configtest.Environment{"SECRET": secret, "NUMBER": "1234", "BRACES": "{order.total"}

// read makes the destination of a configuration; ORIGIN in it is where the provider is.
func read(t *testing.T, text, origin string, options destination.ClientOptions) destination.Destination {
	t.Helper()
	text = "destinations:\n  it:\n    kind: http\n" + strings.ReplaceAll(text, "ORIGIN", origin)
	configured := configtest.Destination(t, generic.Kind, text, environment)
	made, err := configured.Settings.(generic.Options).Make(destination.Common{HTTP: options})
	require.NoError(t, err)
	return made
}

// at is read without options.
func at(t *testing.T, text, origin string) destination.Destination {
	t.Helper()
	return read(t, text, origin, destination.ClientOptions{Timeout: 20 * time.Second})
}

const asJSON = `
    allow_private: true
    auth: {bearer: "${SECRET}"}
    url: ORIGIN/events/{event.name}
    deduplicates: event.uuid
    answers: {statuses: {409: duplicate}}
    requests:
      order_paid:
        headers: {Idempotency-Key: "{event.uuid}"}
        json:
          id: "{event.uuid}"
          email: "{customer.email}"
          total: "{order.total | number}"
          lines: {each: order.items, value: {sku: "{item.sku}", quantity: "{item.quantity}", name: "{item.name}"}}
      search: {json: {id: "{event.uuid}", term: "{search.term}"}}
      custom:*: {json: {id: "{event.uuid}", group: "{custom.customer_group}"}}
`

const asQuery = `
    allow_private: true
    auth: {query: {name: api_key, value: "${SECRET}"}}
    url: ORIGIN/track
    deduplicates: event.key
    answers: {member: status, values: {ok: delivered, duplicate: duplicate, full: throttled}}
    requests:
      page_viewed: {query: {id: "{event.key}", page: "{client.page_url}"}}
      order_paid: {query: {id: "{event.key}", email: "{customer.email}", "sku{n}": {each: order.items, value: "{item.sku}"}}}
`

const asForm = `
    allow_private: true
    auth: {basic: {user: kvit, password: "${SECRET}"}}
    url: ORIGIN/people/{customer.email | lower | md5}
    deduplicates: customer.email
    requests:
      newsletter_optin: {method: PUT, overwrites: true, form: {id: "{customer.email}", name: "{customer.first_name}"}}
      newsletter_optout: {method: PUT, overwrites: true, form: {id: "{customer.email}", left: 1}}
`

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text     string
		reads    bool
		statuses map[int]destination.Kind
	}{
		"JSON":  {asJSON, false, map[int]destination.Kind{409: 0}},
		"Query": {asQuery, true, map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured}},
		"Form":  {asForm, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			delete(test.statuses, 409)
			text := strings.Replace(test.text, "{409: duplicate}", "{226: duplicate}", 1)
			provider := generictest.New(secret, nil)
			destinationtest.Run(t, destinationtest.Harness{
				New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
					return read(t, text, baseURL, options)
				},
				Success: provider.ServeHTTP, ReadsAnswer: test.reads, Statuses: test.statuses,
			})
		})
	}
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := at(t, asForm, "http://127.0.0.1:1").Traits()
	require.Equal(t, []string{"newsletter_optin", "newsletter_optout"}, traits.Events)
	require.Equal(t, traits.Events, traits.States)
	require.Empty(t, traits.CountedAgain)
	counting := strings.Replace(asQuery, "      page_viewed: {", "      page_viewed: {deduplicates: none, ", 1)
	require.Equal(t, []string{"page_viewed"}, at(t, counting, "http://127.0.0.1:1").Traits().CountedAgain)
	require.Equal(t, []string{"order_paid", "search", "custom:*"}, at(t, asJSON, "http://127.0.0.1:1").Traits().Events)
}

func TestRepeatsAreCountedOnce(t *testing.T) {
	t.Parallel()
	provider := generictest.New(secret, nil)
	d := at(t, asQuery, destinationtest.Serve(t, provider))
	for range 3 {
		require.Equal(t, 200, destinationtest.Deliver(t, d, destinationtest.Event(t, "order_paid")))
	}
	require.Equal(t, generictest.Counts{Requests: 3, Events: 1, Repeats: 2}, provider.Counts())
	_ = config.None
	_ = http.StatusOK
	_ = sync.Mutex{}
}
