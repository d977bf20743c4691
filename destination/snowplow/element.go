package snowplow

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvit/destination"
)

// tracker is what kvit calls itself. It is part of an event, and changes only when the form of the
// events does: a repeat after an update of kvit has to be the same.
const tracker = "kvit-1"

// element is one event. All values are texts, and encoding/json writes them in the order of their names.
type element map[string]string

// element writes an event. There is no stm, the time of sending: it would make each attempt another
// event for whoever compares all fields.
func (s *Snowplow) element(event destination.Event) (element, *destination.Error) {
	called, ok := s.mapping.Of(event.Name)
	if !ok {
		return nil, destination.Reject("name: is not an event that this destination sends")
	}
	at := strconv.FormatInt(event.OccurredAt.UnixMilli(), 10)
	e := element{
		"eid": destination.UUID(event.Key).String(), "aid": s.AppID, "tna": s.Namespace, "tv": tracker,
		"p": "srv", "dtm": at, "ttm": at,
	}
	e.visitor(event.Payload, s.SendIP)
	if custom, isCustom := strings.CutPrefix(event.Name, destination.CustomPrefix); isCustom && custom == called {
		e.structured(event, called) // even if the shop's own name is one of Snowplow's
		return e, nil
	}
	return e, e.say(event, called)
}

// visitor says who it was, as the browser's own tracker does.
func (e element) visitor(payload destination.Payload, sendIP bool) {
	if customer := payload.Customer; customer != nil {
		e.text("uid", customer.ID, 255)
	}
	browser := payload.Client
	if browser == nil {
		return
	}
	e.text("duid", browser.SnowplowID, 128)
	e.text("sid", browser.SnowplowSession, 128)
	e.text("ua", browser.UserAgent, 1000)
	e.text("url", browser.PageURL, 4096)
	e.text("page", browser.PageTitle, 2000)
	e.text("refr", browser.Referrer, 4096)
	if sendIP {
		e.text("ip", browser.IP, 128)
	}
}

// text leaves out what is empty, and cuts what would be too long for the column.
func (e element) text(name, value string, most int) {
	if value != "" {
		e[name] = cut(value, most)
	}
}

func (e element) say(event destination.Event, called string) *destination.Error {
	switch called {
	case pageView:
		e["e"] = "pv"
		if e["url"] == "" {
			return destination.Reject("client.page_url: is required")
		}
		return nil
	case transaction, refund, addToCart, checkoutStep, productView:
		return e.commerce(event, called)
	default:
		e.structured(event, called)
		return nil
	}
}

// structured is an event that no schema is known for: category, action, and what can be said in a label,
// a property and a number.
func (e element) structured(event destination.Event, called string) {
	e["e"] = "se"
	e["se_ca"] = category(event.Name)
	e["se_ac"] = cut(called, maxText)
	var about entities
	p := event.Payload
	switch category(event.Name) {
	case "order":
		if p.Order == nil {
			e.text("se_la", event.OrderRef, maxText)
			break
		}
		e.text("se_la", cmp.Or(event.OrderRef, p.Order.Ref), maxText)
		e.amount(p.Order.Currency, p.Order.Total)
		about.products(p.Order.Items, p.Order.Currency)
	case "cart", "checkout":
		if p.Cart == nil {
			break
		}
		e.text("se_la", p.Cart.ID, maxText)
		e.amount(p.Cart.Currency, p.Cart.Total)
		about.cart(p.Cart)
		about.products(p.Cart.Items, p.Cart.Currency)
	case "product":
		about.product(p.Product)
	case "search":
		e.search(p.Search)
	}
	about.user(p.Customer)
	e.context(about)
}

// amount puts money where a structured event has room for it.
func (e element) amount(currency string, amount destination.Money) {
	e.text("se_pr", currency, maxText)
	e.text("se_va", string(amount.JSON()), maxText)
}

func (e element) search(search *destination.Search) {
	if search == nil {
		return
	}
	e.text("se_la", search.Term, maxText)
	if search.Results != nil {
		e["se_va"] = strconv.FormatInt(*search.Results, 10)
	}
}

// context attaches the entities, if there are any.
func (e element) context(about entities) {
	if len(about) > 0 {
		e["co"] = string(compact(selfDescribing{contextsSchema, about}))
	}
}

// cut keeps the first characters of a text.
func cut(text string, most int) string {
	if len(text) <= most || utf8.RuneCountInString(text) <= most {
		return text
	}
	kept := 0
	for i := range text {
		if kept == most {
			return text[:i]
		}
		kept++
	}
	return text
}

// compact is the value as JSON, with characters as they are: escapes for HTML take six times the room.
func compact(value any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic("snowplow: " + err.Error()) // only types and numbers made here, which JSON can always hold
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
