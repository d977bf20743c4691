// Package pinterest sends events to the Pinterest API for Conversions, version 5
// (https://developers.pinterest.com/docs/api/v5/events-create). docs/destinations/pinterest.md says
// what is sent for each event, and what about Pinterest is inferred and not documented.
package pinterest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kvit/config"
	"kvit/destination"
)

// DefaultBaseURL is where the API is.
const DefaultBaseURL = "https://api.pinterest.com/v5"

// defaults is what Pinterest calls the shop's events. A sale counts once, when it is paid.
var defaults = destination.Mapping{
	"order_paid":          "checkout",
	"account_created":     "signup",
	"newsletter_optin":    "lead",
	"sms_optin":           "custom",
	"cart_updated":        addToCart,
	"checkout_started":    "initiate_checkout",
	"product_viewed":      "page_visit",
	"search":              "search",
	"wishlist_item_added": "add_to_wishlist",
	"payment_info_given":  "add_payment_info",
	"list_viewed":         "view_category",
	"page_viewed":         "page_visit",
	destination.AnyCustom: "custom",
}

// EventNames are the names that Pinterest knows; with any other an event is not accepted. Those for
// apps alone are left out.
var EventNames = []string{
	"add_payment_info", "add_to_cart", "add_to_wishlist", "checkout", "contact", "custom",
	"customize_product", "find_location", "initiate_checkout", "lead", "page_visit", "schedule", "search",
	"signup", "start_trial", "subscribe", "view_category", "view_content", "watch_video",
}

// limits of one request. Pinterest states the number of events; the size bounds kvit's own memory.
var limits = destination.Limits{Events: 1000, Bytes: 4 << 20}

// maxAnswer has room for what Pinterest tells of a full request's events, 250 bytes of each.
const maxAnswer = 256 << 10

// window is how long Pinterest is trusted to recognise a repeat. It says nothing itself, but what it
// gets more than an hour late it takes for an offline conversion
// (https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-pinterest-conversions-api),
// and says of those that repeats of them count.
const window = time.Hour

// Options are the settings of a Pinterest.
type Options struct {
	AdAccountID string            // at most 18 digits
	Token       config.Secret     // the conversion token
	Events      map[string]string // changes to the default mapping; empty: not sent
	BaseURL     string            // default DefaultBaseURL
	HTTP        destination.ClientOptions
}

// Pinterest is a destination.Batcher. Safe for concurrent use.
type Pinterest struct {
	url    string
	token  string
	events destination.Mapping
	client *destination.Client
}

// New returns a Pinterest, or an error that names the wrong option.
func New(options Options) (*Pinterest, error) {
	if options.BaseURL == "" {
		options.BaseURL = DefaultBaseURL
	}
	local, err := destination.CheckAddress(options.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	if adAccountID(options.AdAccountID) != "" {
		return nil, errors.New("ad_account_id: must be at most 18 digits")
	}
	if !destination.IsVisibleASCII(options.Token.Reveal()) {
		return nil, errors.New("token: is required, in visible ASCII characters")
	}
	events, err := mappingOf(options.Events)
	if err != nil {
		return nil, err
	}
	options.HTTP.AllowPrivate, options.HTTP.MaxAnswer = options.HTTP.AllowPrivate || local, maxAnswer
	return &Pinterest{
		url:    strings.TrimRight(options.BaseURL, "/") + "/ad_accounts/" + options.AdAccountID + "/events",
		token:  options.Token.Reveal(),
		events: events,
		client: destination.NewClient(options.HTTP),
	}, nil
}

func mappingOf(changes map[string]string) (destination.Mapping, error) {
	events, err := defaults.Within(EventNames, "Pinterest", changes)
	if err != nil {
		return nil, err
	}
	return events, events.OneSale("checkout")
}

// Traits gives the events of the mapping. How old an event may be is not known.
func (p *Pinterest) Traits() destination.Traits {
	return destination.Traits{Events: p.events.Events(), Window: window, Batch: limits}
}

// Send posts one event.
func (p *Pinterest) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, p, event)
}

// Encode writes an event of the field data.
func (p *Pinterest) Encode(event destination.Event) (destination.Encoded, *destination.Error) {
	called, ok := p.events.Of(event.Name)
	if !ok {
		return destination.Encoded{}, destination.Reject("name: is not an event that this destination sends")
	}
	written, rejected := newEvent(event, called)
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	return destination.Encoded{Body: destination.JSON(written)}, nil
}

// SendBatch posts items in one request and reads what became of each.
func (p *Pinterest) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return p.post(ctx, p.url, items)
}

// asTest makes Pinterest check a request and answer it as usual, and record nothing.
const asTest = "?test=true"

// SendTest sends an event that Pinterest checks and does not record.
func (p *Pinterest) SendTest(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, tester{p}, event)
}

// tester is a Pinterest whose requests are tests.
type tester struct{ *Pinterest }

func (t tester) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return t.post(ctx, t.url+asTest, items)
}

// Prove has an invented event checked, which needs the token and the ad account.
func (p *Pinterest) Prove(ctx context.Context) (string, error) {
	invented := destination.Event{
		Key: "kvit:check", OccurredAt: time.Now().Add(-time.Minute), // clocks differ, and the future is refused
		Payload: destination.Payload{Customer: &destination.Customer{Email: "kvit@example.com"}},
	}
	written, rejected := newEvent(invented, "custom")
	if rejected != nil {
		return "", rejected
	}
	results, failed := p.post(ctx, p.url+asTest, []destination.Encoded{{Body: destination.JSON(written)}})
	if failed != nil {
		return "", failed
	}
	if results[0].Err != nil {
		return "", results[0].Err
	}
	return "the token may send events to this ad account; Pinterest checked one and recorded nothing", nil
}

func (p *Pinterest) post(ctx context.Context, url string, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(destination.Join(`{"data":[`, items, `]}`)))
	if err != nil {
		return nil, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/json")
	answer, failed := p.client.Do(req)
	if failed != nil {
		return nil, failed
	}
	return judge(answer, len(items))
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
