// Package reddit sends events to Reddit's Conversions API, version 3 (https://ads-api.reddit.com/docs/v3/).
// docs/destinations/reddit.md says what is sent for each event, and what about Reddit is inferred and not
// documented.
package reddit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kvit/config"
	"kvit/destination"
)

// DefaultBaseURL is where the API is.
const DefaultBaseURL = "https://ads-api.reddit.com/api/v3"

// Names of Reddit's own.
const (
	purchase    = "PURCHASE"
	addToCart   = "ADD_TO_CART"
	addToWishes = "ADD_TO_WISHLIST"
	pageVisit   = "PAGE_VISIT"
	viewContent = "VIEW_CONTENT"
	search      = "SEARCH"
	custom      = "CUSTOM" // with any name beside it
)

// EventNames are the events that Reddit knows; any other name is a custom event's.
var EventNames = []string{addToCart, addToWishes, "LEAD", pageVisit, purchase, search, "SIGN_UP", viewContent}

// defaults is what Reddit calls the shop's events. A sale counts once, when it is paid.
var defaults = destination.Mapping{
	"order_paid":          purchase,
	"account_created":     "SIGN_UP",
	"newsletter_optin":    "LEAD",
	"cart_updated":        addToCart,
	"product_viewed":      viewContent,
	"wishlist_item_added": addToWishes,
	"search":              search,
	"page_viewed":         pageVisit,
	destination.AnyCustom: destination.OwnName,
}

// limits of one request. Reddit states the number of events; the size bounds kvit's own memory.
var limits = destination.Limits{Events: 1000, Bytes: 4 << 20}

const (
	// maxAge is within which Reddit takes an event, and window within which it looks for the same conversion_id.
	maxAge = 7 * 24 * time.Hour
	window = 48 * time.Hour
	// maxName is how many characters the name of a custom event has.
	maxName = 64
)

// Options are the settings of a Reddit.
type Options struct {
	PixelID string            // the id of the pixel
	Token   config.Secret     // the conversion access token
	TestID  string            // for SendTest only
	Events  map[string]string // changes to the default mapping; empty: not sent
	BaseURL string            // default DefaultBaseURL
	HTTP    destination.ClientOptions
}

// Reddit is a destination.Batcher. Safe for concurrent use.
type Reddit struct {
	events destination.Mapping
	url    string
	bearer string
	testID string
	client *destination.Client
}

// New returns a Reddit, or an error that names the wrong option.
func New(options Options) (*Reddit, error) {
	base := cmp.Or(options.BaseURL, DefaultBaseURL)
	local, err := destination.CheckAddress(base)
	switch {
	case err != nil:
		return nil, fmt.Errorf("base_url: %w", err)
	case pixelID(options.PixelID) != "":
		return nil, errors.New("pixel_id: must be letters, digits, _ and -, at most 64")
	case !destination.IsVisibleASCII(options.Token.Reveal()):
		return nil, errors.New("token: is required, in visible ASCII characters")
	}
	events, err := defaults.Changed(options.Events, func(_, called string) string { return nameProblem(called) })
	if err != nil {
		return nil, err
	}
	if err := events.OneSale(purchase); err != nil {
		return nil, err
	}
	options.HTTP.AllowPrivate = options.HTTP.AllowPrivate || local
	return &Reddit{
		events: events, testID: options.TestID,
		url:    strings.TrimRight(base, "/") + "/pixels/" + options.PixelID + "/conversion_events",
		bearer: "Bearer " + options.Token.Reveal(),
		client: destination.NewClient(options.HTTP),
	}, nil
}

// nameProblem also finds Reddit's own names as version 2 of the API wrote them, such as Purchase, which version 3
// would take for a custom event's.
func nameProblem(called string) string {
	if utf8.RuneCountInString(called) > maxName {
		return fmt.Sprintf("must be at most %d characters", maxName)
	}
	plain := func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
	for _, name := range append(slices.Clone(EventNames), custom) {
		if plain(called) == plain(name) && (called != name || called == custom) {
			return "must be " + name + ", or the name of a custom event"
		}
	}
	return ""
}

// Reach connects to where the events go and sends nothing.
func (r *Reddit) Reach(ctx context.Context) error { return r.client.Reach(ctx, r.url) }

// Traits gives the events of the mapping.
func (r *Reddit) Traits() destination.Traits {
	return destination.Traits{Events: r.events.Events(), MaxAge: maxAge, Window: window, Batch: limits}
}

// Send posts one event.
func (r *Reddit) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, r, event)
}

// Encode writes an event of the field data.events.
func (r *Reddit) Encode(e destination.Event) (destination.Encoded, *destination.Error) {
	kind, ok := r.kindOf(e.Name)
	if !ok {
		return destination.Encoded{}, destination.Reject("name: is not an event that this destination sends")
	}
	written, rejected := newEvent(e, kind)
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	return destination.Encoded{Body: destination.JSON(written)}, nil
}

// kindOf makes a custom event of every name that is not Reddit's, and of every custom event's own name, which
// nobody who knows Reddit has looked at.
func (r *Reddit) kindOf(name string) (eventType, bool) {
	called, ok := r.events.Of(name)
	if slices.Contains(EventNames, called) && !r.events.IsOwn(name) {
		return eventType{Tracking: called}, ok
	}
	return eventType{Tracking: custom, Name: destination.Cut(called, maxName)}, ok
}

// SendBatch posts items in one request, of which Reddit takes all or none.
func (r *Reddit) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return r.post(ctx, items, `]}}`)
}

// SendTest sends an event under the configured id for tests, so that Reddit shows it there and does not count it.
func (r *Reddit) SendTest(ctx context.Context, event destination.Event) (int, error) {
	if r.testID == "" {
		return 0, &destination.Error{Kind: destination.Misconfigured, Reason: "test_id: is required for a test, and shown in Events Manager under Event Testing"}
	}
	return destination.SendOne(ctx, tester{r}, event)
}

// tester is a Reddit whose requests bear the id for tests.
type tester struct{ *Reddit }

func (t tester) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	return t.post(ctx, items, `],"test_id":`+string(destination.JSON(t.testID))+`}}`)
}

func (r *Reddit) post(ctx context.Context, items []destination.Encoded, after string) ([]destination.Result, *destination.Error) {
	answer, failed := r.client.PostJSON(ctx, r.url, destination.Join(`{"data":{"events":[`, items, after), "Authorization", r.bearer)
	if failed != nil {
		return nil, failed
	}
	if judged := judge(answer, len(items)); judged != nil {
		return nil, judged
	}
	return destination.Taken(items, answer.Status), nil
}
