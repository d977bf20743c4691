// Package ga4 sends events to Google Analytics 4 by the Measurement Protocol
// (https://developers.google.com/analytics/devguides/collection/protocol/ga4).
// docs/destinations/ga4.md says what is sent for each event. Google answers 2xx to whatever arrives,
// so that a delivered event is one that Google has received, and not one that it counts.
package ga4

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// The limits of one request: 25 events, and a body below 130 kB, of which the part that is not events
// takes a few kB.
const (
	maxEvents = 25
	maxBytes  = 120_000
)

// maxAge is how far back an event may lie; for an older one Google changes the time, or drops it.
const maxAge = 72 * time.Hour

const (
	collectPath  = "/mp/collect"
	validatePath = "/debug/mp/collect"
)

// GA4 is a destination. Safe for concurrent use.
type GA4 struct {
	settings
	client            *destination.Client
	collect, validate string
}

var (
	_ destination.Batcher = (*GA4)(nil)
	_ destination.Prober  = (*GA4)(nil)
	_ destination.Tester  = (*GA4)(nil)
)

// New returns a GA4, or an error that names the wrong option.
func New(options Options) (*GA4, error) {
	s, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	return &GA4{
		settings: s, client: destination.NewClient(s.HTTP),
		collect: s.address(collectPath), validate: s.address(validatePath),
	}, nil
}

// Traits tells that Google recognises repeats of purchases alone, by their transaction_id, and says
// nothing on how long.
func (g *GA4) Traits() destination.Traits {
	events := g.mapping.Events()
	once := g.mapping.Called(purchase)
	return destination.Traits{
		Events: events,
		MaxAge: maxAge,
		CountedAgain: slices.DeleteFunc(slices.Clone(events), func(event string) bool {
			return slices.Contains(once, event)
		}),
		FindsByClientID: true,
		Batch:           destination.Limits{Events: maxEvents, Bytes: maxBytes},
	}
}

// Send sends the event in a request of its own.
func (g *GA4) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, g, event)
}

// Encode writes the event as an item of events; the Group is the rest of the request: who it was, and
// what they agreed to.
func (g *GA4) Encode(event destination.Event) (destination.Encoded, *destination.Error) {
	who, rejected := g.visitor(event)
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	item, rejected := g.item(event)
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	return destination.Encoded{Group: string(destination.JSON(who)), Body: destination.JSON(item)}, nil
}

// SendBatch makes one request. Google answers 2xx whether it likes the events or not, so that any 2xx
// is delivered, whatever its body.
func (g *GA4) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	answer, failed := g.post(ctx, g.collect, body(items, ""))
	if failed != nil {
		return nil, failed
	}
	if judged := judge(answer); judged != nil {
		return nil, judged
	}
	return destination.Taken(items, answer.Status), nil
}

// body puts items of one group into a request; more are further members of it. The request has the time
// of the first event, for the case that Google does not look at those of the events.
func body(items []destination.Encoded, more string) []byte {
	who := strings.TrimSuffix(items[0].Group, "}")
	at := gjson.GetBytes(items[0].Body, "timestamp_micros").Raw
	return destination.Join(who+`,"timestamp_micros":`+at+more+`,"events":[`, items, "]}")
}

func (g *GA4) post(ctx context.Context, address string, body []byte) (destination.Answer, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil { // not its text: that holds the address, and with it the secret
		return destination.Answer{}, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Content-Type", "application/json")
	return g.client.Do(req)
}

// judge takes 404 and 405 for a wrong address: Google has no such answer to an event.
func judge(answer destination.Answer) *destination.Error {
	switch answer.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "nothing takes events at this address"}
	}
	return destination.Judge(answer.Status, answer.Header)
}
