// Package googleads sends conversions to Google Ads through the Data Manager API
// (https://developers.google.com/data-manager/api/reference/rest/v1/events/ingest). docs/destinations/google_ads.md
// says what is sent for each event, why by this API, and what about Google is inferred and not documented.
package googleads

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"kvit/destination"
)

// limits of one request. Google states the number of events
// (https://developers.google.com/data-manager/api/devguides/limits); the size bounds kvit's own memory.
var limits = destination.Limits{Events: 2000, Bytes: 4 << 20}

// maxAge is what another sender has found (https://github.com/elbwalker/walkerOS, README of its destination
// datamanager). Google has errors for events that are too old, and names no number.
const maxAge = 14 * 24 * time.Hour

// GoogleAds is a destination.Batcher. Safe for concurrent use.
type GoogleAds struct {
	settings
	client *destination.Client
	tokens *destination.Tokens
}

var _ interface {
	destination.Batcher
	destination.Prober
	destination.Tester
} = (*GoogleAds)(nil)

// New returns a GoogleAds, or an error that names the wrong option.
func New(options Options) (*GoogleAds, error) {
	s, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	client := destination.NewClient(s.HTTP)
	return &GoogleAds{settings: s, client: client, tokens: destination.NewTokens(client, s.token)}, nil
}

// Traits gives the events of the mapping. Google goes by the order's reference: what comes again under it changes the
// conversion and adds none, so that the states of an order are sent in order. A cancellation of an order that was never
// sold would be a conversion of its own; where kvit sends no sales, the site's tag does.
func (g *GoogleAds) Traits() destination.Traits {
	traits := destination.Traits{Events: g.events.Events(), MaxAge: maxAge, Batch: limits}
	sells := len(g.events.Called(purchase)) > 0
	for _, name := range traits.Events {
		if !strings.HasPrefix(name, "order_") {
			continue
		}
		traits.States = append(traits.States, name)
		if called, _ := g.events.Of(name); sells && (called == retract || called == restate) {
			traits.Adjusts = append(traits.Adjusts, name)
		}
	}
	return traits
}

// Send posts one event.
func (g *GoogleAds) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, g, event)
}

// Encode writes an event of a request. Its group is the conversion action, since all events of a request go to the
// same one.
func (g *GoogleAds) Encode(event destination.Event) (destination.Encoded, *destination.Error) {
	called, ok := g.events.Of(event.Name)
	if !ok {
		return destination.Encoded{}, destination.Reject("name: is not an event that this destination sends")
	}
	written, rejected := g.newEvent(event, called)
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	return destination.Encoded{Group: g.actionOf(called), Body: destination.JSON(written)}, nil
}

// SendBatch posts items in one request. Google takes all of them, or none.
func (g *GoogleAds) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return g.post(ctx, items, false)
}

// SendTest sends an event that Google checks and does not record.
func (g *GoogleAds) SendTest(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, tester{g}, event)
}

// tester is a GoogleAds whose requests are only validated.
type tester struct{ *GoogleAds }

func (t tester) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return t.post(ctx, items, true)
}

// Prove has an invented sale checked, which needs the credentials, the account and the conversion action.
func (g *GoogleAds) Prove(ctx context.Context) (string, error) {
	invented := event{
		TransactionID: "kvit:check", Timestamp: timestamp(time.Now().Add(-time.Minute)), Source: web, // clocks differ
		Ads: &adIdentifiers{GClid: "kvit-check"}, Consent: consent{granted, denied}, Currency: "EUR", Value: []byte("0"),
	}
	if g.UserData {
		invented.Ads, invented.User = nil, &userData{[]identifier{{Email: destination.SHA256Hex("kvit@example.com")}}}
	}
	item := destination.Encoded{Group: g.ConversionAction, Body: destination.JSON(invented)}
	if _, failed := g.post(ctx, []destination.Encoded{item}, true); failed != nil {
		return "", failed
	}
	return "the credentials may send to this conversion action; Google checked a sale and recorded nothing", nil
}

func (g *GoogleAds) post(ctx context.Context, items []destination.Encoded, validate bool) ([]destination.Result, *destination.Error) {
	before, after := g.envelope(items[0].Group, validate)
	content := destination.Join(before, items, after)
	var status int
	failed := g.tokens.With(ctx, func(token string) (failed *destination.Error) {
		status, failed = g.attempt(ctx, content, validate, token)
		return failed
	})
	if failed != nil {
		return nil, failed
	}
	return destination.Taken(items, status), nil
}

func (g *GoogleAds) attempt(ctx context.Context, content []byte, validate bool, token string) (int, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(content))
	if err != nil {
		return 0, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	answer, failed := g.client.Do(req)
	if failed != nil {
		return 0, failed
	}
	return answer.Status, judge(answer, validate)
}

// envelope is a request around its events.
func (g *GoogleAds) envelope(action string, validate bool) (before, after string) {
	whole := destination.JSON(request{
		Destinations: []account{g.accountOf(action)}, Encoding: "HEX", ValidateOnly: validate, Events: []struct{}{},
	})
	before, after, _ = strings.Cut(string(whole), `"events":[]`)
	return before + `"events":[`, `]` + after
}

// actionOf is the conversion action that an event's name stands for.
func (g *GoogleAds) actionOf(called string) string {
	if isSale(called) {
		return g.ConversionAction
	}
	return called
}
