package ga4

import (
	"encoding/json"
	"strings"

	"kvit/destination"
)

// item is one of the events of a request.
type item struct {
	Name      string `json:"name"`
	Timestamp int64  `json:"timestamp_micros"` // of the event, which goes before that of the request
	Params    params `json:"params"`
}

// params are written in the order of their names, so that the same event always gives the same bytes.
type params map[string]any

// ownParams are the names that Options.Params cannot have.
var ownParams = map[string]bool{
	"session_id": true, "engagement_time_msec": true, "transaction_id": true, "currency": true, "value": true,
	"tax": true, "shipping": true, "coupon": true, "payment_type": true, "items": true, "search_term": true,
	"page_location": true, "page_title": true, "page_referrer": true, "shipping_tier": true, "item_list_id": true, "item_list_name": true,
	"promotion_id": true, "promotion_name": true, "creative_name": true, "creative_slot": true,
}

// Google's limits for values, in characters (https://support.google.com/analytics/answer/9267744).
const (
	maxValue    = 100
	maxTitle    = 300
	maxReferrer = 420
	maxLocation = 1000
)

func (g *GA4) item(event destination.Event) (item, *destination.Error) {
	called, ok := g.mapping.Of(event.Name)
	if !ok {
		return item{}, destination.Reject("name: is not an event that this destination sends")
	}
	if g.mapping.IsOwn(event.Name) {
		called = ownName(called)
	}
	p, rejected := about(event, called)
	if rejected != nil {
		return item{}, rejected
	}
	p["engagement_time_msec"] = 1 // without it the event is no activity of a user
	p.text("session_id", session(event.Payload.Client), maxValue)
	for name, path := range g.params {
		p.text(name, path.Text(event.Raw), maxValue)
	}
	return item{Name: called, Timestamp: event.OccurredAt.UnixMicro(), Params: p}, nil
}

// session is left out unless it is a number, for Google would begin a new session with anything else.
func session(browser *destination.Browser) string {
	if browser == nil || strings.Trim(browser.GASessionID, "0123456789") != "" || len(browser.GASessionID) > maxValue {
		return ""
	}
	return browser.GASessionID
}

// about is what the event says beside who and when.
func about(event destination.Event, called string) (params, *destination.Error) {
	if called == purchase || called == refund {
		return sale(event, called)
	}
	p := event.Payload
	switch event.Name {
	case "order_placed", "order_paid", "order_shipped", "order_cancelled", "order_refunded", "order_partly_refunded":
		return ordered(event)
	case "cart_updated", "checkout_started":
		return carted(p.Cart)
	case "shipping_info_given", "payment_info_given":
		return carted(p.Cart)
	case "product_viewed", "cart_item_removed", "wishlist_item_added":
		return viewed(p.Product)
	case "list_viewed":
		return listed(p.List)
	case "promotion_viewed", "promotion_selected":
		return promoted(p.Promo)
	case "search":
		return searched(p.Search)
	case "page_viewed":
		return page(p.Client)
	default:
		return params{}, nil
	}
}

// text leaves out what is empty, and cuts what Google would.
func (p params) text(name, value string, most int) {
	if value != "" {
		p[name] = destination.Cut(value, most)
	}
}

func (p params) number(name string, value json.RawMessage) {
	if value != nil {
		p[name] = value
	}
}

// money is left out without a currency: Google would take it for the property's own.
func (p params) money(currency string, value destination.Money) {
	if currency == "" {
		return
	}
	p["currency"] = currency
	p.number("value", value.JSON())
}
