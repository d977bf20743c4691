package demo

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// object is a JSON object as the shop writes it.
type object map[string]any

func (o object) json() string {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // only texts, numbers and lists of them are in it
	}
	return string(text)
}

// line is one line of a cart or an order. Prices are in whole øre.
type line struct {
	sku, name, category string
	price               int64
	quantity            int
}

var assortment = []line{
	{sku: "LAMP-01", name: "Desk lamp", category: "Lighting", price: 74900},
	{sku: "LAMP-02", name: "Floor lamp", category: "Lighting", price: 129900},
	{sku: "MUG-01", name: "Mug", category: "Kitchen", price: 8900},
	{sku: "BOWL-03", name: "Bowl", category: "Kitchen", price: 15900},
	{sku: "THROW-01", name: "Wool throw", category: "Textiles", price: 49900},
	{sku: "VASE-07", name: "Vase", category: "Decoration", price: 34950},
}

func newCart(rng *rand.Rand) []line {
	var cart []line
	for _, i := range rng.Perm(len(assortment))[:1+rng.IntN(3)] {
		item := assortment[i]
		item.quantity = 1 + rng.IntN(3)
		cart = append(cart, item)
	}
	return cart
}

func total(cart []line) (sum int64) {
	for _, item := range cart {
		sum += item.price * int64(item.quantity)
	}
	return sum
}

// money writes øre as the decimal text that contract and SQL take.
func money(amount int64) string { return fmt.Sprintf("%d.%02d", amount/100, amount%100) }

func items(cart []line) []object {
	list := []object{}
	for _, item := range cart {
		list = append(list, object{
			"sku": item.sku, "name": item.name, "brand": "Example Design", "category": item.category,
			"variant": "standard", "quantity": item.quantity, "unit_price": money(item.price),
		})
	}
	return list
}

func customerObject(p person, isNew bool) object {
	return object{
		"id": fmt.Sprintf("C%05d", p.number), "email": p.email(), "phone": p.phone(),
		"first_name": p.firstName, "last_name": p.lastName(), "language": "da-DK", "is_new": isNew,
		"address": object{
			"lines": []string{p.street()}, "postal_code": p.city.postalCode, "city": p.city.name, "country": "DK",
		},
		"tags": []string{p.group},
	}
}

func clientObject(p person) object {
	return object{
		"ip": p.ip(), "user_agent": "Mozilla/5.0 (example)", "page_url": "https://shop.example.com/checkout",
		"page_title": "Checkout", "referrer": "https://www.example.com/", "spread_cookie": p.cookie(),
		"ga_client_id": p.clientID(), "ga_session_id": "1741083000", "fbp": p.browserID(), "fbc": "fb.1.1741082000000." + p.cookie(),
		"ttclid": p.cookie(), "ttp": p.cookie(), "epik": p.cookie(), "msclkid": "0123456789abcdef" + p.visitorID(),
		"matomo_id": p.visitorID(), "snowplow_id": p.userID(), "klaviyo_id": p.cookie(),
	}
}

func productObject(item line) object {
	return object{
		"currency": "DKK", "sku": item.sku, "name": item.name, "brand": "Example Design", "category": item.category,
		"unit_price": money(item.price),
	}
}

func orderObject(v visitor) object {
	return object{
		"ref": v.ref, "number": v.ref, "currency": "DKK", "total": money(v.total), "tax": money(v.total / 5),
		"shipping": money(v.shipping), "payment_method": v.payment, "delivery_method": v.delivery,
		"delivery_date": time.Now().AddDate(0, 0, 3).Format(time.DateOnly), "items": items(v.cart),
	}
}

func orderPayload(v visitor, state string) string {
	payload := object{
		"customer": customerObject(v.person, v.isNew), "order": orderObject(v), "client": clientObject(v.person),
		"custom": object{"customer_group": v.person.group, "state": state},
	}
	if v.optin && state == "placed" {
		payload["optin"] = object{"email": true}
	}
	return payload.json()
}

// cartPayload is a whole cart. A broken one is its number alone, as careless code writes it.
func cartPayload(v visitor, cart []line, broken bool) string {
	if broken {
		return strconv.Quote(v.cartID())
	}
	return object{
		"customer": object{"email": v.person.email()}, "client": clientObject(v.person),
		"cart": object{"id": v.cartID(), "currency": "DKK", "total": money(total(cart)), "items": items(cart)},
	}.json()
}

func personPayload(p person, isNew bool) string {
	return object{
		"customer": customerObject(p, isNew), "client": clientObject(p), "custom": object{"customer_group": p.group},
	}.json()
}
