// Package tiktok sends events to TikTok's Events API 2.0
// (https://business-api.tiktok.com/portal/docs?id=1771101303285761). docs/destinations/tiktok.md says what
// is sent for each event, and what about TikTok is inferred and not documented.
package tiktok

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"kvit/destination"
)

const (
	// maxEvents is what TikTok takes in one request.
	maxEvents = 1000
	// maxBytes is kvit's own bound, since TikTok states none: the largest event fits.
	maxBytes = 4 << 20
)

// TikTok is a destination. Safe for concurrent use.
type TikTok struct {
	settings
	client *destination.Client
}

// New returns a TikTok, or an error that names the wrong option.
func New(options Options) (*TikTok, error) {
	settings, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	return &TikTok{settings: settings, client: destination.NewClient(settings.HTTP)}, nil
}

// Reach connects to where the events go and sends nothing.
func (t *TikTok) Reach(ctx context.Context) error { return t.client.Reach(ctx, t.address) }

// Traits tells that TikTok knows repeats of every event for 48 hours from the first
// (https://ads.tiktok.com/help/article/event-deduplication).
func (t *TikTok) Traits() destination.Traits {
	return destination.Traits{
		Events: t.mapping.Events(), MaxAge: 7 * 24 * time.Hour, Window: 48 * time.Hour,
		Batch: destination.Limits{Events: maxEvents, Bytes: maxBytes},
	}
}

// Encode writes the event as one of the list in TikTok's request.
func (t *TikTok) Encode(event destination.Event) (destination.Encoded, *destination.Error) {
	built, rejected := t.event(event)
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	return destination.Encoded{Body: destination.JSON(built)}, nil
}

// Send delivers one event.
func (t *TikTok) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, t, event)
}

// SendBatch delivers events in one request. TikTok's answer speaks for all of them.
func (t *TikTok) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return t.post(ctx, items, "")
}

// SendTest delivers one event under the configured test code, so that TikTok shows it among the test events.
func (t *TikTok) SendTest(ctx context.Context, event destination.Event) (int, error) {
	if t.TestEventCode == "" {
		return 0, &destination.Error{Kind: destination.Misconfigured, Reason: "test_event_code: is required for a test, and shown in Events Manager under Test Events"}
	}
	return destination.SendOne(ctx, tester{t}, event)
}

// tester is a TikTok whose requests bear the test code.
type tester struct{ *TikTok }

func (t tester) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return t.post(ctx, items, t.TestEventCode)
}

func (t *TikTok) post(ctx context.Context, items []destination.Encoded, testCode string) ([]destination.Result, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.address, bytes.NewReader(t.body(items, testCode)))
	if err != nil {
		return nil, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Access-Token", t.AccessToken.Reveal())
	answer, failed := t.client.Do(req)
	if failed != nil {
		return nil, failed
	}
	if judged := judge(answer); judged != nil {
		return nil, judged
	}
	return destination.Taken(items, answer.Status), nil
}

// head is the body without its events.
type head struct {
	EventSource   string `json:"event_source"`
	EventSourceID string `json:"event_source_id"`
	TestEventCode string `json:"test_event_code,omitempty"`
}

func (t *TikTok) body(items []destination.Encoded, testCode string) []byte {
	h := destination.JSON(head{EventSource: t.EventSource, EventSourceID: t.EventSourceID, TestEventCode: testCode})
	return destination.Join(strings.TrimSuffix(string(h), "}")+`,"data":[`, items, "]}")
}
