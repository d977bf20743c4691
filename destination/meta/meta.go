// Package meta sends events to Meta's Conversions API
// (https://developers.facebook.com/documentation/ads-commerce/conversions-api). docs/destinations/meta.md
// says what is sent for each event, and what about Meta is inferred and not documented.
package meta

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"kvit/destination"
)

const (
	day = 24 * time.Hour
	// maxEvents is what Meta takes in one request (…/conversions-api/using-the-api).
	maxEvents = 1000
	// maxBytes is kvit's own bound, since Meta states none: the largest event fits.
	maxBytes = 4 << 20
)

// Meta is a destination. Safe for concurrent use.
type Meta struct {
	settings
	client *destination.Client
}

// New returns a Meta, or an error that names the wrong option.
func New(options Options) (*Meta, error) {
	settings, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	return &Meta{settings: settings, client: destination.NewClient(settings.HTTP)}, nil
}

// Reach connects to where the events go and sends nothing.
func (m *Meta) Reach(ctx context.Context) error { return m.client.Reach(ctx, m.address) }

// Traits tells that Meta knows repeats of every event for 48 hours, and refuses a request with an event
// that is too old (…/conversions-api/parameters/server-event).
func (m *Meta) Traits() destination.Traits {
	return destination.Traits{
		Events: m.mapping.Events(), MaxAge: m.maxAge(), Window: 48 * time.Hour,
		Batch: destination.Limits{Events: maxEvents, Bytes: maxBytes},
	}
}

func (m *Meta) maxAge() time.Duration {
	if m.ActionSource == "physical_store" {
		return 62 * day
	}
	return 7 * day
}

// Encode writes the event as Meta's server event.
func (m *Meta) Encode(event destination.Event) (destination.Encoded, *destination.Error) {
	built, rejected := m.event(event)
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	return destination.Encoded{Body: destination.JSON(built)}, nil
}

// Send delivers one event.
func (m *Meta) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, m, event)
}

// SendBatch delivers events in one request, of which Meta takes all or none.
func (m *Meta) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return m.post(ctx, items, "")
}

// SendTest delivers one event under the configured test code, so that Meta shows it among the test events.
func (m *Meta) SendTest(ctx context.Context, event destination.Event) (int, error) {
	if m.TestEventCode == "" {
		return 0, &destination.Error{Kind: destination.Misconfigured, Reason: "test_event_code: is required for a test, and shown in Events Manager under Test Events"}
	}
	return destination.SendOne(ctx, tester{m}, event)
}

// tester is a Meta whose requests bear the test code.
type tester struct{ *Meta }

func (t tester) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return t.post(ctx, items, t.TestEventCode)
}

func (m *Meta) post(ctx context.Context, items []destination.Encoded, testCode string) ([]destination.Result, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.address, bytes.NewReader(m.body(items, testCode)))
	if err != nil {
		return nil, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Content-Type", "application/json")
	answer, failed := m.client.Do(req)
	if failed != nil {
		return nil, failed
	}
	if judged := judge(answer, len(items)); judged != nil {
		return nil, judged
	}
	return destination.Taken(items, answer.Status), nil
}

// head is the body without its events. The token stands in it, and not in the address, where it would get
// into the logs of whatever is on the way.
type head struct {
	AccessToken   string `json:"access_token,omitempty"`
	TestEventCode string `json:"test_event_code,omitempty"`
}

func (m *Meta) body(items []destination.Encoded, testCode string) []byte {
	h := head{TestEventCode: testCode}
	if m.TokenIn == InBody {
		h.AccessToken = m.AccessToken.Reveal()
	}
	before := strings.TrimSuffix(string(destination.JSON(h)), "}")
	if before != "{" {
		before += ","
	}
	return destination.Join(before+`"data":[`, items, "]}")
}
