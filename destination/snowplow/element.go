package snowplow

import (
	"cmp"
	"strconv"
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
	if s.mapping.IsOwn(event.Name) {
		e.structured(event, called) // even if the shop's own name is one of Snowplow's
		return e, nil
	}
	return e, e.say(event, called)
}

// visitor says who it was, as the browser's own tracker does.
func (e element) visitor(payload destination.Payload, sendIP bool) {
	if customer := payload.Customer; customer != nil {
		e.id("uid", customer.ID, 255)
	}
	browser := payload.Client
	if browser == nil {
		return
	}
	e.id("duid", browser.SnowplowID, 128)
	e.id("sid", browser.SnowplowSession, 128)
	e.text("ua", browser.UserAgent, 1000)
	e.text("url", browser.PageURL, 4096)
	e.text("page", browser.PageTitle, 2000)
	e.text("refr", browser.Referrer, 4096)
	if sendIP {
		e.text("ip", browser.IP, 128)
	}
}

// id leaves out what is too long for the column: a part of it may be somebody else's.
func (e element) id(name, value string, most int) {
	if utf8.RuneCountInString(value) <= most {
		e.text(name, value, most)
	}
}

// text leaves out what is empty, and cuts what would be too long for the column.
func (e element) text(name, value string, most int) {
	if value != "" {
		e[name] = destination.Cut(value, most)
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
		if unread := event.UnreadSale(); unread != nil {
			return unread
		}
		e.structured(event, called)
		return nil
	}
}

// structured is an event that no schema is known for: category, action, and what can be said in a label,
// a property and a number.
func (e element) structured(event destination.Event, called string) {
	e["e"] = "se"
	e["se_ca"] = category(event.Name)
	e["se_ac"] = destination.Cut(called, maxText)
	var about entities
	p := event.Payload
	switch category(event.Name) {
	case "order":
		e.id("se_la", event.Reference(), maxText)
		if p.Order == nil {
			break
		}
		e.amount(p.Order.Currency, p.Order.Total)
		about.products(p.Order.Items, p.Order.Currency)
	case "cart", "checkout", "shipping", "payment", "wishlist":
		if event.Name == "cart_item_removed" || event.Name == "wishlist_item_added" {
			about.product(p.Product)
		}
		if p.Cart == nil {
			break
		}
		e.text("se_la", p.Cart.ID, maxText)
		e.amount(p.Cart.Currency, p.Cart.Total)
		about.cart(p.Cart)
		about.products(p.Cart.Items, p.Cart.Currency)
	case "product":
		about.product(p.Product)
	case "list":
		if p.List != nil {
			e.text("se_la", p.List.Name, maxText)
			about.products(p.List.Items, p.List.Currency)
		}
	case "promotion":
		if p.Promo != nil {
			e.text("se_la", cmp.Or(p.Promo.Name, p.Promo.ID), maxText)
		}
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
		e["co"] = string(destination.JSON(selfDescribing{contextsSchema, about}))
	}
}
