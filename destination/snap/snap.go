// Package snap sends events to Snap's Conversions API, version 3
// (https://developers.snap.com/api/marketing-api/Conversions-API/UsingTheAPI). docs/destinations/snap.md says
// what is sent for each event, and what about Snap is inferred and not documented.
package snap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"kvit/config"
	"kvit/destination"
)

// DefaultBaseURL is where the API is.
const DefaultBaseURL = "https://tr.snapchat.com/v3"

const (
	purchase = "PURCHASE"
	addCart  = "ADD_CART"
)

// defaults is what Snap calls the shop's events. A sale counts once, when it is paid.
var defaults = destination.Mapping{
	"order_paid":          purchase,
	"account_created":     "SIGN_UP",
	"newsletter_optin":    "SUBSCRIBE",
	"cart_updated":        addCart,
	"checkout_started":    "START_CHECKOUT",
	"payment_info_given":  "ADD_BILLING",
	"product_viewed":      "VIEW_CONTENT",
	"wishlist_item_added": "ADD_TO_WISHLIST",
	"list_viewed":         "LIST_VIEW",
	"search":              "SEARCH",
	"page_viewed":         "PAGE_VIEW",
	"logged_in":           "LOGIN",
	destination.AnyCustom: "CUSTOM_EVENT_1",
}

// EventNames are the names that Snap knows. Those for apps alone are left out.
var EventNames = []string{
	"ACHIEVEMENT_UNLOCKED", addCart, "ADD_BILLING", "ADD_TO_WISHLIST", "AD_CLICK", "AD_VIEW", "COMPLETE_TUTORIAL", "CUSTOM_EVENT_1",
	"CUSTOM_EVENT_2", "CUSTOM_EVENT_3", "CUSTOM_EVENT_4", "CUSTOM_EVENT_5", "INVITE", "LEVEL_COMPLETE", "LIST_VIEW", "LOGIN", "PAGE_VIEW",
	purchase, "RATE", "RESERVE", "SAVE", "SEARCH", "SHARE", "SIGN_UP", "SPENT_CREDITS", "START_CHECKOUT", "START_TRIAL", "SUBSCRIBE", "VIEW_CONTENT",
}

// limits of one request. Snap states the number of events; the size is that of a large integrator
// (https://docs.tealium.com/server-side-connectors/snapchat-conversions-connector/).
var limits = destination.Limits{Events: 2000, Bytes: 2_000_000 - len(before) - len(after)}

const before, after = `{"data":[`, `]}`

const (
	// maxAge is how old an event may be to be reported (…/Conversions-API/Introduction).
	maxAge = 37 * 24 * time.Hour
	// window is how long Snap looks for the same event_id; for a sale it is longer (…/Conversions-API/Deduplication).
	window = 48 * time.Hour
)

// Options are the settings of a Snap.
type Options struct {
	PixelID     string            // the id of the pixel, a UUID
	AccessToken config.Secret     // the long-lived token for the Conversions API
	PageURL     string            // for events without a page of their own; empty: they are rejected
	Events      map[string]string // changes to the default mapping; empty: not sent
	BaseURL     string            // default DefaultBaseURL
	HTTP        destination.ClientOptions
}

// Snap is a destination.Batcher. Safe for concurrent use.
type Snap struct {
	events  destination.Mapping
	pageURL string
	url     string // of the pixel's events
	query   string // with the token, which Snap takes in the address alone
	client  *destination.Client
}

// New returns a Snap, or an error that names the wrong option.
func New(options Options) (*Snap, error) {
	base := cmp.Or(options.BaseURL, DefaultBaseURL)
	local, err := destination.CheckAddress(base)
	switch {
	case err != nil:
		return nil, fmt.Errorf("base_url: %w", err)
	case pixelID(options.PixelID) != "":
		return nil, errors.New("pixel_id: must be letters, digits and -, at most 64")
	case !destination.IsVisibleASCII(options.AccessToken.Reveal()):
		return nil, errors.New("access_token: is required, in visible ASCII characters")
	case options.PageURL != "" && destination.WebAddress(options.PageURL) == "":
		return nil, errors.New("page_url: must begin with https:// or http://")
	}
	events, err := defaults.Within(EventNames, "Snap", options.Events)
	if err != nil {
		return nil, err
	}
	if err := events.OneSale(purchase); err != nil {
		return nil, err
	}
	options.HTTP.AllowPrivate = options.HTTP.AllowPrivate || local
	return &Snap{
		events: events, pageURL: options.PageURL,
		url:    strings.TrimRight(base, "/") + "/" + options.PixelID + "/events",
		query:  "?access_token=" + url.QueryEscape(options.AccessToken.Reveal()),
		client: destination.NewClient(options.HTTP),
	}, nil
}

// Traits gives the events of the mapping.
func (s *Snap) Traits() destination.Traits {
	return destination.Traits{Events: s.events.Events(), MaxAge: maxAge, Window: window, Batch: limits}
}

// Send posts one event.
func (s *Snap) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, s, event)
}

// Encode writes an event of the field data.
func (s *Snap) Encode(e destination.Event) (destination.Encoded, *destination.Error) {
	called, ok := s.events.Of(e.Name)
	if !ok {
		return destination.Encoded{}, destination.Reject("name: is not an event that this destination sends")
	}
	written, rejected := s.event(e, called)
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	return destination.Encoded{Body: destination.JSON(written)}, nil
}

// SendBatch posts items in one request, of which Snap takes all or none.
func (s *Snap) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return s.post(ctx, s.url, items)
}

// asTest makes Snap check events as it would, show them among the test events, and count nothing.
const asTest = "/validate"

// SendTest sends an event that Snap checks and does not count.
func (s *Snap) SendTest(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, tester{s}, event)
}

// tester is a Snap whose requests are tests.
type tester struct{ *Snap }

func (t tester) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return t.post(ctx, t.url+asTest, items)
}

// Prove has an invented event checked, which needs the token and the pixel.
func (s *Snap) Prove(ctx context.Context) (string, error) {
	written, rejected := s.event(destination.Event{
		Key: "kvit:check", OccurredAt: time.Now().Add(-time.Minute), // clocks differ
		Payload: destination.Payload{
			Customer: &destination.Customer{Email: "kvit@example.com"},
			Client:   &destination.Browser{PageURL: "https://shop.example.com/"},
		},
	}, "PAGE_VIEW")
	if rejected != nil {
		return "", rejected
	}
	if _, failed := s.post(ctx, s.url+asTest, []destination.Encoded{{Body: destination.JSON(written)}}); failed != nil {
		return "", failed
	}
	return "the token may send events to this pixel; Snap checked one as a test event and counted nothing", nil
}

func (s *Snap) post(ctx context.Context, address string, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	answer, failed := s.client.PostJSON(ctx, address+s.query, destination.Join(before, items, after))
	if failed != nil {
		return nil, failed
	}
	if judged := judge(answer); judged != nil {
		return nil, judged
	}
	return destination.Taken(items, answer.Status), nil
}
