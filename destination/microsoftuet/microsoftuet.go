// Package microsoftuet sends events to the UET Conversions API of Microsoft Advertising
// (https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration), to which
// Microsoft admits each account by itself. docs/destinations/microsoft_uet.md says what is sent for
// each event, and what about the API is inferred and not documented.
package microsoftuet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kvit/config"
	"kvit/destination"
)

// Defaults of Options.
const (
	DefaultBaseURL   = "https://capi.uet.microsoft.com/v1"
	DefaultAdPurpose = "marketing"
)

const (
	purchase  = "purchase"
	addToCart = "add_to_cart"
)

// PageLoad in a mapping makes an event a page load; any other name is the action of a custom event,
// which a conversion goal looks for.
const PageLoad = "pageLoad"

// defaults is what Microsoft calls the shop's events: actions are free, these are the usual ones.
// A sale counts once, when it is paid.
var defaults = destination.Mapping{
	"order_paid":          purchase,
	"account_created":     "signup",
	"newsletter_optin":    "subscribe",
	"cart_updated":        addToCart,
	"checkout_started":    "begin_checkout",
	"product_viewed":      "view_item",
	"search":              "search",
	"page_viewed":         PageLoad,
	destination.AnyCustom: destination.OwnName,
}

// limits of one request, as a large integrator keeps them: 1,000 events and 1 MB
// (https://docs.tealium.com/server-side-connectors/microsoft-uet-conversion-api-connector).
var limits = destination.Limits{Events: 1000, Bytes: 1_000_000 - len(before) - len(after)}

// maxAge comes from published clients, not from Microsoft's own text.
const maxAge = 7 * 24 * time.Hour

// Options are the settings of a MicrosoftUET.
type Options struct {
	TagID     string            // the id of the UET tag
	Token     config.Secret     // the tag's token for the Conversions API
	AdPurpose string            // whose acceptance is adStorageConsent; default DefaultAdPurpose
	Events    map[string]string // changes to the default mapping; empty: not sent
	BaseURL   string            // default DefaultBaseURL
	HTTP      destination.ClientOptions
}

// MicrosoftUET is a destination.Batcher. Safe for concurrent use.
type MicrosoftUET struct {
	url     string
	token   string
	purpose string
	events  destination.Mapping
	client  *destination.Client
}

// New returns a MicrosoftUET, or an error that names the wrong option.
func New(options Options) (*MicrosoftUET, error) {
	base := cmp.Or(options.BaseURL, DefaultBaseURL)
	local, err := destination.CheckAddress(base)
	switch {
	case err != nil:
		return nil, fmt.Errorf("base_url: %w", err)
	case tagID(options.TagID) != "":
		return nil, errors.New("tag_id: must be at most 20 digits")
	case !destination.IsVisibleASCII(options.Token.Reveal()):
		return nil, errors.New("token: is required, in visible ASCII characters")
	}
	events, err := defaults.Changed(options.Events, nil)
	if err != nil {
		return nil, err
	}
	if err := events.OneSale(purchase); err != nil {
		return nil, err
	}
	options.HTTP.AllowPrivate = options.HTTP.AllowPrivate || local
	return &MicrosoftUET{
		url:     strings.TrimRight(base, "/") + "/" + options.TagID + "/events",
		token:   options.Token.Reveal(),
		purpose: cmp.Or(options.AdPurpose, DefaultAdPurpose),
		events:  events,
		client:  destination.NewClient(options.HTTP),
	}, nil
}

// Reach connects to where the events go and sends nothing.
func (m *MicrosoftUET) Reach(ctx context.Context) error { return m.client.Reach(ctx, m.url) }

// Traits gives the events of the mapping. How long a repeat is recognised is not known.
func (m *MicrosoftUET) Traits() destination.Traits {
	return destination.Traits{Events: m.events.Events(), MaxAge: maxAge, Batch: limits}
}

// Send posts one event.
func (m *MicrosoftUET) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, m, event)
}

// Encode writes an event of the field data.
func (m *MicrosoftUET) Encode(event destination.Event) (destination.Encoded, *destination.Error) {
	called, ok := m.events.Of(event.Name)
	if m.events.IsOwn(event.Name) && (called == purchase || called == PageLoad) {
		called = "custom_" + called // what the shop calls so may be something else
	}
	if !ok {
		return destination.Encoded{}, destination.Reject("name: is not an event that this destination sends")
	}
	written, rejected := newEvent(event, called, event.Accepts(m.purpose))
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	body := destination.JSON(written)
	if len(body) >= limits.Bytes {
		return destination.Encoded{}, destination.Reject("payload: must not be larger than 1 MB in Microsoft's form")
	}
	return destination.Encoded{Body: body}, nil
}

// before and after enclose the events. One that Microsoft finds fault with does not keep it from
// taking the others.
const (
	before = `{"data":[`
	after  = `],"continueOnValidationError":true}`
)

// SendBatch posts items in one request and reads what became of each.
func (m *MicrosoftUET) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(destination.Join(before, items, after)))
	if err != nil {
		return nil, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Authorization", "Bearer "+m.token)
	req.Header.Set("Content-Type", "application/json")
	answer, failed := m.client.Do(req)
	if failed != nil {
		return nil, failed
	}
	return judge(answer, len(items))
}
