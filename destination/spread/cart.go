package spread

import (
	"net/url"
	"strconv"

	"kvit/destination"
)

// cart sends the whole cart to the automation, which starts with the first call and is updated by
// later ones; an empty cart stops it.
func (s *settings) cart(event destination.Event) (call, *destination.Error) {
	cart, customer := event.Payload.Cart, event.Payload.Customer
	switch {
	case s.CartTrigger == "":
		return call{}, destination.Reject("name: carts are not sent, since cart_trigger is none")
	case customer == nil || customer.Email == "":
		return call{}, destination.Reject("customer.email: is required")
	case cart == nil || cart.ID == "":
		return call{}, destination.Reject("cart.id: is required")
	case cart.Items == nil:
		return call{}, destination.Reject("cart.items: is required, and an empty list for an empty cart")
	}
	var f form
	f.add("key[cartId]", cart.ID)
	f.add("customerEmail", customer.Email)
	if len(cart.Items) == 0 {
		return call{url: s.automation("stop"), body: f.String()}, nil
	}
	f.add("cart_items_count", strconv.Itoa(len(cart.Items)))
	f.add("cart_currency_code", cart.Currency)
	f.add("cart_grandTotal", string(cart.Total))
	for i, item := range cart.Items {
		f.item("items["+strconv.Itoa(i)+"]", item)
	}
	return call{url: s.automation("trigger"), body: f.String()}, nil
}

func (s *settings) automation(verb string) string {
	return s.URLs.Automations + "/" + verb + "/" + url.PathEscape(s.CartTrigger)
}

func (f *form) item(key string, item destination.Item) {
	f.add(key+"[idProduct]", item.SKU)
	f.add(key+"[name]", item.Name)
	f.add(key+"[manufacturer_name]", item.Brand)
	f.add(key+"[category]", item.Category)
	f.add(key+"[legend]", item.Variant)
	f.add(key+"[price]", string(item.UnitPrice))
	f.add(key+"[quantity]", string(item.Quantity))
}
