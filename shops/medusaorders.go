package shops

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Sell has persons go each way, see sellAll.
func (m *Medusa) Sell(t testing.TB) []Order {
	t.Helper()
	return sellAll(t, func(t testing.TB, p Person, state State) Order { return m.sell(t, m.visitor(t, p), p, state) })
}

// visitor is somebody who comes to the shop; an account registers, logs in and keeps an address book.
func (m *Medusa) visitor(t testing.TB, p Person) *rest {
	t.Helper()
	visitor := &rest{serving: m.serving}
	if !p.Account {
		return visitor
	}
	var registered struct{ Token string }
	visitor.ask(t, http.MethodPost, "/auth/customer/emailpass/register", vars{"email": p.Email, "password": password}, &registered)
	visitor.token = registered.Token
	visitor.ask(t, http.MethodPost, "/store/customers",
		vars{"email": p.Email, "first_name": p.FirstName, "last_name": p.LastName, "phone": p.Phone}, nil)
	visitor.token = visitor.logIn(t, "customer", p.Email, password)
	visitor.ask(t, http.MethodPost, "/store/customers/me/addresses", p.medusa(p.Shipping), nil)
	return visitor
}

// medusa is an address as Medusa takes it.
func (p Person) medusa(a Address) vars {
	return vars{
		"first_name": p.FirstName, "last_name": p.LastName, "phone": p.Phone, "country_code": "dk",
		"address_1": a.Street, "city": a.City, "postal_code": a.Postal,
	}
}

// sell takes one order as far as state says.
func (m *Medusa) sell(t testing.TB, visitor *rest, p Person, state State) Order {
	t.Helper()
	cart := m.fill(t, visitor, p)
	if state == Cart {
		return Order{ID: cart, State: state, Native: "open", Person: p}
	}
	id := m.checkOut(t, visitor, cart, state == Declined)
	placed := m.find(t, id)
	o := placed.order()
	o.Person, o.State = p, state
	o.Notes = m.handle(t, placed, p, state)
	now := m.find(t, id)
	o.Native = strings.Join([]string{now.Status, now.PaymentStatus, now.FulfillmentStatus}, " ")
	o.Paid, o.Refunded = now.money()
	return o
}

// fill puts two products and the person's addresses into a cart, and returns its id.
func (m *Medusa) fill(t testing.TB, visitor *rest, p Person) string {
	t.Helper()
	var made struct{ Cart struct{ ID string } }
	visitor.ask(t, http.MethodPost, "/store/carts", vars{
		"region_id": m.region, "email": p.Email,
		"items":            []vars{{"variant_id": m.goods[0], "quantity": 3}, {"variant_id": m.goods[1], "quantity": 2}},
		"shipping_address": p.medusa(p.Shipping), "billing_address": p.medusa(p.Billing),
	}, &made)
	return made.Cart.ID
}

// checkOut chooses the shipping, pays and orders; a declined payment is a session that was given up.
func (m *Medusa) checkOut(t testing.TB, visitor *rest, cart string, declined bool) string {
	t.Helper()
	if m.way == "" {
		var options struct {
			ShippingOptions []struct{ ID string } `json:"shipping_options"`
		}
		visitor.ask(t, http.MethodGet, "/store/shipping-options?cart_id="+cart, nil, &options)
		require.NotEmpty(t, options.ShippingOptions)
		m.way = options.ShippingOptions[0].ID
	}
	visitor.ask(t, http.MethodPost, "/store/carts/"+cart+"/shipping-methods", vars{"option_id": m.way}, nil)
	var collection struct {
		PaymentCollection struct{ ID string } `json:"payment_collection"`
	}
	visitor.ask(t, http.MethodPost, "/store/payment-collections", vars{"cart_id": cart}, &collection)
	session := "/store/payment-collections/" + collection.PaymentCollection.ID + "/payment-sessions"
	if declined {
		visitor.ask(t, http.MethodPost, session, vars{"provider_id": "pp_system_default"}, nil)
	}
	visitor.ask(t, http.MethodPost, session, vars{"provider_id": "pp_system_default"}, nil)
	var completed struct {
		Type  string
		Order struct{ ID string }
		Error struct{ Message string }
	}
	visitor.ask(t, http.MethodPost, "/store/carts/"+cart+"/complete", vars{}, &completed)
	require.Equal(t, "order", completed.Type, completed.Error.Message)
	return completed.Order.ID
}

// handle is what the staff does about an order, and returns what it wrote.
func (m *Medusa) handle(t testing.TB, o medusaOrder, p Person, state State) []string {
	t.Helper()
	at := "/admin/orders/" + o.ID
	if state != Placed && state != Declined {
		m.staff.ask(t, http.MethodPost, "/admin/payments/"+o.payment(t)+"/capture", vars{}, nil)
	}
	switch state {
	case Changed:
		m.staff.ask(t, http.MethodPost, at, vars{"shipping_address": p.medusa(p.moved())}, nil)
		return []string{p.moved().Street}
	case Shipped:
		m.ship(t, o)
	case Delivered:
		m.staff.ask(t, http.MethodPost, at+"/fulfillments/"+m.ship(t, o)+"/mark-as-delivered", vars{}, nil)
		return m.note(t, o, p)
	case Refunded:
		m.ship(t, o)
		return m.refund(t, o, p)
	case Cancelled:
		m.staff.ask(t, http.MethodPost, at+"/cancel", vars{}, nil)
	case Cart, Placed, Declined, Paid:
	}
	return nil
}

// medusaOrder is what the staff's API says of an order. Amounts are in major units.
type medusaOrder struct {
	ID                string
	DisplayID         int    `json:"display_id"`
	CurrencyCode      string `json:"currency_code"`
	Status            string
	PaymentStatus     string    `json:"payment_status"`
	FulfillmentStatus string    `json:"fulfillment_status"`
	CreatedAt         time.Time `json:"created_at"`
	Total             float64
	TaxTotal          float64 `json:"tax_total"`
	ShippingTotal     float64 `json:"shipping_total"`
	Items             []struct {
		ID       string
		SKU      string `json:"variant_sku"`
		Title    string `json:"product_title"`
		Quantity int
		Total    float64
	}
	PaymentCollections []struct {
		Payments []struct {
			ID                string
			Captures, Refunds []medusaAmount
		}
	} `json:"payment_collections"`
}

type medusaAmount struct{ Amount float64 }

// payment is the id of the only one.
func (found medusaOrder) payment(t testing.TB) string {
	t.Helper()
	require.Len(t, found.PaymentCollections, 1)
	require.Len(t, found.PaymentCollections[0].Payments, 1)
	return found.PaymentCollections[0].Payments[0].ID
}

// find asks the staff's API for an order.
func (m *Medusa) find(t testing.TB, id string) medusaOrder {
	t.Helper()
	var found struct{ Order medusaOrder }
	m.staff.ask(t, http.MethodGet, "/admin/orders/"+id+"?fields="+orderFields, nil, &found)
	return found.Order
}

func (found medusaOrder) order() Order {
	o := Order{
		ID: found.ID, Ref: strconv.Itoa(found.DisplayID), Currency: strings.ToUpper(found.CurrencyCode),
		Total: minor(found.Total), Tax: minor(found.TaxTotal), Shipping: minor(found.ShippingTotal), PlacedAt: found.CreatedAt,
	}
	for _, i := range found.Items {
		o.Lines = append(o.Lines, Line{SKU: i.SKU, Name: i.Title, Quantity: i.Quantity, Price: minor(i.Total / float64(i.Quantity))})
	}
	return o
}

func (found medusaOrder) money() (paid, refunded int) {
	for _, c := range found.PaymentCollections {
		for _, p := range c.Payments {
			paid += sum(p.Captures)
			refunded += sum(p.Refunds)
		}
	}
	return paid, refunded
}

// sum is in minor units.
func sum(parts []medusaAmount) int {
	total := 0
	for _, p := range parts {
		total += minor(p.Amount)
	}
	return total
}

// minor turns Medusa's major units into minor ones.
func minor(amount float64) int { return int(math.Round(amount * 100)) }

// ship sends all of an order and returns the id of the parcel.
func (m *Medusa) ship(t testing.TB, o medusaOrder) string {
	t.Helper()
	var items []vars
	for _, i := range o.Items {
		items = append(items, vars{"id": i.ID, "quantity": i.Quantity})
	}
	at := "/admin/orders/" + o.ID + "/fulfillments"
	var sent struct {
		Order struct{ Fulfillments []struct{ ID string } }
	}
	m.staff.ask(t, http.MethodPost, at+"?fields=*fulfillments", vars{"items": items}, &sent)
	require.Len(t, sent.Order.Fulfillments, 1)
	parcel := sent.Order.Fulfillments[0].ID
	m.staff.ask(t, http.MethodPost, at+"/"+parcel+"/shipments", vars{"items": items, "labels": []vars{
		{"tracking_number": "TRACK" + o.ID, "tracking_url": "http://127.0.0.1/track", "label_url": "http://127.0.0.1/label"},
	}}, nil)
	return parcel
}

// note writes about the order where Medusa has room for it.
func (m *Medusa) note(t testing.TB, o medusaOrder, p Person) []string {
	t.Helper()
	note := "left with the neighbour of " + p.LastName
	m.staff.ask(t, http.MethodPost, "/admin/orders/"+o.ID, vars{"metadata": vars{"note": note}}, nil)
	return []string{note}
}

// refund pays a part back, with a note that names the person.
func (m *Medusa) refund(t testing.TB, o medusaOrder, p Person) []string {
	t.Helper()
	note := p.LastName + " found a scratch"
	m.staff.ask(t, http.MethodPost, "/admin/payments/"+o.payment(t)+"/refund", vars{"amount": 50, "note": note}, nil)
	return []string{note}
}
