package spread

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"kvit/destination"
)

// call is one request: the same at every attempt.
type call struct {
	url     string
	body    string
	refused int    // the status by which SPREAD may say that this is the wrong method ...
	instead string // ... and the address of the right one; empty: there is none
}

// create makes something new, or updates it if SPREAD knows it already.
func create(address, update string) call {
	return call{url: address, refused: http.StatusConflict, instead: update}
}

// update changes something, or makes it if SPREAD does not know it: a shop may begin to use kvit
// between an order's placing and its payment.
func update(address, create string) call {
	return call{url: address, refused: http.StatusNotFound, instead: create}
}

// call builds the request that the event stands for.
func (s *settings) call(event destination.Event) (call, *destination.Error) {
	switch event.Name {
	case "order_placed":
		return s.order(event, "10", create(s.URLs.CreateOrder, s.URLs.UpdateOrder))
	case "order_paid":
		return s.order(event, "20", update(s.URLs.UpdateOrder, s.URLs.CreateOrder))
	case "order_shipped":
		return s.order(event, "50", update(s.URLs.UpdateOrder, s.URLs.CreateOrder))
	case "order_cancelled":
		return s.order(event, "0", update(s.URLs.UpdateOrder, s.URLs.CreateOrder))
	case "account_created":
		return s.account(event, create(s.URLs.CreateAccount, s.URLs.UpdateAccount))
	case "account_updated", "newsletter_optout", "sms_optin", "sms_optout":
		return s.account(event, update(s.URLs.UpdateAccount, s.URLs.CreateAccount))
	case "newsletter_optin":
		return s.newsletter(event)
	case "cart_updated":
		return s.cart(event)
	default:
		return call{}, destination.Reject("name: is not an event that SPREAD takes")
	}
}

// newsletter creates the profile of somebody whom the shop does not know as a customer.
func (s *settings) newsletter(event destination.Event) (call, *destination.Error) {
	customer := event.Payload.Customer
	if customer != nil && customer.ID != "" && !customer.IsNew {
		return s.account(event, update(s.URLs.UpdateAccount, s.URLs.CreateAccount))
	}
	return s.account(event, create(s.URLs.CreateAccount, s.URLs.UpdateAccount))
}

func (s *settings) account(event destination.Event, c call) (call, *destination.Error) {
	var f form
	if err := s.profile(&f, event); err != nil {
		return call{}, err
	}
	f.data("action", accountAction(event.Name))
	c.body = f.String()
	return c, nil
}

// accountAction is never empty, because SPREAD takes an absent action for an order; signup is what
// its page about updateAccount shows.
func accountAction(name string) string {
	if name == "newsletter_optin" {
		return "newsletter"
	}
	return "signup"
}

func (s *settings) order(event destination.Event, state string, c call) (call, *destination.Error) {
	ref, err := orderRef(event)
	if err != nil {
		return call{}, err
	}
	var f form
	if err := s.profile(&f, event); err != nil {
		return call{}, err
	}
	if s.counts(event.Name) {
		f.data("action", "order")
	}
	f.data("order_idorder", ref)
	f.data("order_state", state)
	if err := s.sale(&f, event); err != nil {
		return call{}, err
	}
	f.list("add_order_tag", s.OrderTags)
	f.add("request[order_idorder]", ref)
	c.body = f.String()
	return c, nil
}

func orderRef(event destination.Event) (string, *destination.Error) {
	inside := ""
	if event.Payload.Order != nil {
		inside = event.Payload.Order.Ref
	}
	switch {
	case event.OrderRef == "" && inside == "":
		return "", destination.Reject("order.ref: is required")
	case event.OrderRef == "":
		return inside, nil
	case inside != "" && inside != event.OrderRef:
		return "", destination.Reject("order.ref: differs from the event's order_ref")
	}
	return event.OrderRef, nil
}

// counts tells whether the order counts as a sale from this event on.
func (s *settings) counts(name string) bool {
	return (s.ValidateOn == Paid && name == "order_paid") || (s.ValidateOn == Registered && name == "order_placed")
}

// sale adds amount and date. Shipping and cancelling say neither unless the amount is given: the
// date is the order's, and must not move when the parcel does.
func (s *settings) sale(f *form, event destination.Event) *destination.Error {
	var total destination.Money
	if event.Payload.Order != nil {
		total = event.Payload.Order.Total
	}
	sold := event.Name == "order_placed" || event.Name == "order_paid"
	if sold && total == "" {
		return destination.Reject("order.total: is required")
	}
	f.data("order_amount", string(total))
	if sold {
		f.data("date", event.OccurredAt.In(s.zone).Format("2006-01-02 15:04:05"))
	}
	return nil
}

// form is a body as PHP's http_build_query writes it: in the order of the calls, empty values left out.
type form struct{ strings.Builder }

func (f *form) add(key, value string) {
	if value == "" {
		return
	}
	if f.Len() > 0 {
		f.WriteByte('&')
	}
	f.WriteString(url.QueryEscape(key))
	f.WriteByte('=')
	f.WriteString(url.QueryEscape(value))
}

func (f *form) data(field, value string) { f.add("data["+field+"]", value) }

func (f *form) nested(field, name, value string) { f.add("data["+field+"]["+name+"]", value) }

func (f *form) list(field string, values []string) {
	for i, value := range values {
		f.nested(field, strconv.Itoa(i), value)
	}
}
