package shops

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// errorResult is the part of a mutation that asks for what went wrong.
const errorResult = `... on ErrorResult { errorCode message }`

// Sell has persons go each way, see sellAll.
func (v *Vendure) Sell(t testing.TB) []Order {
	t.Helper()
	return sellAll(t, func(t testing.TB, p Person, state State) Order { return v.sell(t, v.visitor(t, p), p, state) })
}

// visitor is somebody who comes to the shop; an account registers, logs in and keeps an address book.
func (v *Vendure) visitor(t testing.TB, p Person) *graphql {
	t.Helper()
	visitor := &graphql{url: v.url + "/shop-api"}
	if !p.Account {
		return visitor
	}
	visitor.ask(t, `mutation ($input: RegisterCustomerInput!) { registerCustomerAccount(input: $input) { `+errorResult+` } }`,
		vars{"input": vars{"emailAddress": p.Email, "firstName": p.FirstName, "lastName": p.LastName, "phoneNumber": p.Phone, "password": password}}, nil)
	visitor.ask(t, loginDocument, vars{"email": p.Email, "password": password}, nil)
	visitor.ask(t, `mutation ($input: CreateAddressInput!) { createCustomerAddress(input: $input) { id } }`, vars{"input": p.vendure(p.Shipping)}, nil)
	return visitor
}

// vendure is an address as Vendure takes it.
func (p Person) vendure(a Address) vars {
	return vars{
		"fullName": p.FirstName + " " + p.LastName, "phoneNumber": p.Phone, "countryCode": "DK",
		"streetLine1": a.Street, "city": a.City, "postalCode": a.Postal,
	}
}

// sell takes one order as far as state says.
func (v *Vendure) sell(t testing.TB, visitor *graphql, p Person, state State) Order {
	t.Helper()
	id := v.fill(t, visitor, p)
	if state != Cart {
		v.checkOut(t, visitor, p, state == Declined)
	}
	o := v.find(t, id).order()
	o.Person, o.State = p, state
	o.Notes = v.handle(t, id, p, state)
	now := v.find(t, id)
	o.Native = now.State
	o.Paid, o.Refunded = now.money()
	return o
}

// fill puts two products and the person's addresses into a cart, and returns its id.
func (v *Vendure) fill(t testing.TB, visitor *graphql, p Person) string {
	t.Helper()
	var added struct{ AddItemToOrder struct{ ID string } }
	for variant, quantity := range map[string]int{"1": 2, "4": 3} {
		visitor.ask(t, `mutation ($variant: ID!, $quantity: Int!) { addItemToOrder(productVariantId: $variant, quantity: $quantity) {
			... on Order { id } `+errorResult+` } }`, vars{"variant": variant, "quantity": quantity}, &added)
	}
	if !p.Account {
		visitor.ask(t, `mutation ($input: CreateCustomerInput!) { setCustomerForOrder(input: $input) { `+errorResult+` } }`,
			vars{"input": vars{"emailAddress": p.Email, "firstName": p.FirstName, "lastName": p.LastName, "phoneNumber": p.Phone}}, nil)
	}
	visitor.ask(t, `mutation ($ship: CreateAddressInput!, $bill: CreateAddressInput!) {
		setOrderShippingAddress(input: $ship) { `+errorResult+` } setOrderBillingAddress(input: $bill) { `+errorResult+` } }`,
		vars{"ship": p.vendure(p.Shipping), "bill": p.vendure(p.Billing)}, nil)
	return added.AddItemToOrder.ID
}

// checkOut chooses the shipping and pays, the first time in vain if the card is declined.
func (v *Vendure) checkOut(t testing.TB, visitor *graphql, p Person, declined bool) {
	t.Helper()
	visitor.ask(t, `mutation { setOrderShippingMethod(shippingMethodId: ["1"]) { `+errorResult+` }
		transitionOrderToState(state: "ArrangingPayment") { `+errorResult+` } }`, nil, nil)
	const pay = `mutation ($metadata: JSON!) { addPaymentToOrder(input: {method: "card", metadata: $metadata}) { `
	if declined {
		visitor.ask(t, pay+`... on PaymentDeclinedError { paymentErrorMessage } } }`, vars{"metadata": vars{"shouldDecline": true}}, nil)
	}
	visitor.ask(t, pay+errorResult+` } }`,
		vars{"metadata": vars{"holder": p.FirstName + " " + p.LastName, "public": vars{"receipt": p.Email}}}, nil)
}

// handle is what the staff does about an order, and returns the notes that it wrote.
func (v *Vendure) handle(t testing.TB, id string, p Person, state State) []string {
	t.Helper()
	switch state {
	case Paid:
		v.capture(t, id)
	case Changed:
		v.capture(t, id)
		return v.change(t, id, p)
	case Shipped:
		v.capture(t, id)
		v.ship(t, id, "Shipped")
	case Delivered:
		v.capture(t, id)
		v.ship(t, id, "Shipped", "Delivered")
		return v.note(t, id, p)
	case Refunded:
		v.capture(t, id)
		v.ship(t, id, "Shipped")
		return v.refund(t, id, p, 5_000)
	case Cancelled:
		v.capture(t, id)
		return v.cancel(t, id, p)
	case Cart, Placed, Declined:
	}
	return nil
}

// vendureOrder is what the staff's API says of an order.
type vendureOrder struct {
	ID, Code, State, CurrencyCode        string
	OrderPlacedAt                        time.Time
	Total, TotalWithTax, ShippingWithTax int
	Lines                                []vendureLine
	Payments                             []vendurePayment
}

type vendureLine struct {
	ID               string
	Quantity         int
	UnitPriceWithTax int
	ProductVariant   struct{ SKU, Name string }
}

type vendurePayment struct {
	ID, State string
	Amount    int
	Refunds   []struct {
		ID, State string
		Total     int
	}
}

// find asks the staff's API for an order.
func (v *Vendure) find(t testing.TB, id string) vendureOrder {
	t.Helper()
	var found struct{ Order vendureOrder }
	v.admin.ask(t, `query ($id: ID!) { order(id: $id) { id code state currencyCode orderPlacedAt total totalWithTax shippingWithTax
		lines { id quantity unitPriceWithTax productVariant { sku name } }
		payments { id state amount refunds { id state total } } } }`, vars{"id": id}, &found)
	return found.Order
}

func (found vendureOrder) order() Order {
	o := Order{
		ID: found.ID, Ref: found.Code, Currency: found.CurrencyCode,
		Total: found.TotalWithTax, Tax: found.TotalWithTax - found.Total, Shipping: found.ShippingWithTax, PlacedAt: found.OrderPlacedAt,
	}
	for _, l := range found.Lines {
		o.Lines = append(o.Lines, Line{SKU: l.ProductVariant.SKU, Name: l.ProductVariant.Name, Quantity: l.Quantity, Price: l.UnitPriceWithTax})
	}
	return o
}

func (found vendureOrder) money() (paid, refunded int) {
	for _, p := range found.Payments {
		if p.State == "Settled" {
			paid += p.Amount
		}
		for _, r := range p.Refunds {
			refunded += r.Total
		}
	}
	return paid, refunded
}

// payment is the one that was not declined.
func (v *Vendure) payment(t testing.TB, id string) vendurePayment {
	t.Helper()
	payments := v.find(t, id).Payments
	for _, p := range payments {
		if p.State == "Authorized" || p.State == "Settled" {
			return p
		}
	}
	t.Fatalf("order %s has no payment: %+v", id, payments)
	return vendurePayment{}
}

func (v *Vendure) capture(t testing.TB, id string) {
	t.Helper()
	v.admin.ask(t, `mutation ($id: ID!) { settlePayment(id: $id) { `+errorResult+` } }`, vars{"id": v.payment(t, id).ID}, nil)
}

// ship sends all of an order and takes the parcel through the states.
func (v *Vendure) ship(t testing.TB, id string, states ...string) {
	t.Helper()
	var lines []vars
	for _, l := range v.find(t, id).Lines {
		lines = append(lines, vars{"orderLineId": l.ID, "quantity": l.Quantity})
	}
	var sent struct{ AddFulfillmentToOrder struct{ ID string } }
	v.admin.ask(t, `mutation ($lines: [OrderLineInput!]!, $code: String!) { addFulfillmentToOrder(input: {lines: $lines,
		handler: {code: "manual-fulfillment", arguments: [{name: "method", value: "Parcel"}, {name: "trackingCode", value: $code}]}}) {
		... on Fulfillment { id } `+errorResult+` } }`, vars{"lines": lines, "code": "TRACK" + id}, &sent)
	for _, state := range states {
		v.admin.ask(t, `mutation ($id: ID!, $state: String!) { transitionFulfillmentToState(id: $id, state: $state) { `+errorResult+` } }`,
			vars{"id": sent.AddFulfillmentToOrder.ID, "state": state}, nil)
	}
}

// note writes about the order, once for the staff and once for the customer to see.
func (v *Vendure) note(t testing.TB, id string, p Person) []string {
	t.Helper()
	notes := []string{"left with the neighbour of " + p.LastName, "received by " + p.FirstName}
	for i, note := range notes {
		v.admin.ask(t, `mutation ($input: AddNoteToOrderInput!) { addNoteToOrder(input: $input) { id } }`,
			vars{"input": vars{"id": id, "note": note, "isPublic": i == 1}}, nil)
	}
	return notes
}

// refund pays a part back; the reason names the person.
func (v *Vendure) refund(t testing.TB, id string, p Person, amount int) []string {
	t.Helper()
	reason := p.LastName + " found a scratch"
	var made struct{ RefundOrder struct{ ID string } }
	v.admin.ask(t, `mutation ($input: RefundOrderInput!) { refundOrder(input: $input) { ... on Refund { id } `+errorResult+` } }`,
		vars{"input": vars{"paymentId": v.payment(t, id).ID, "amount": amount, "reason": reason,
			"lines": []vars{}, "shipping": 0, "adjustment": 0}}, &made) // its columns are NOT NULL, and no amount fills them
	v.admin.ask(t, `mutation ($id: ID!, $tx: String!) { settleRefund(input: {id: $id, transactionId: $tx}) { `+errorResult+` } }`,
		vars{"id": made.RefundOrder.ID, "tx": "REFUND" + id}, nil)
	return []string{reason}
}

// cancel pays all back and cancels, with the person's words as the reason.
func (v *Vendure) cancel(t testing.TB, id string, p Person) []string {
	t.Helper()
	notes := v.refund(t, id, p, v.find(t, id).TotalWithTax)
	reason := p.FirstName + " does not want it any more"
	v.admin.ask(t, `mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { `+errorResult+` } }`,
		vars{"input": vars{"orderId": id, "reason": reason, "cancelShipping": true}}, nil)
	return append(notes, reason)
}

// change gives an order another shipping address and a surcharge for it, paid by hand.
func (v *Vendure) change(t testing.TB, id string, p Person) []string {
	t.Helper()
	const goTo = `mutation ($id: ID!, $state: String!) { transitionOrderToState(id: $id, state: $state) { ` + errorResult + ` } }`
	note := strings.Join([]string{p.FirstName, p.LastName, "has moved"}, " ")
	v.admin.ask(t, goTo, vars{"id": id, "state": "Modifying"}, nil)
	v.admin.ask(t, `mutation ($input: ModifyOrderInput!) { modifyOrder(input: $input) { `+errorResult+` } }`, vars{"input": vars{
		"dryRun": false, "orderId": id, "note": note, "updateShippingAddress": p.vendure(p.moved()),
		"surcharges": []vars{{"description": "Forwarding to " + p.LastName, "sku": "FORWARD", "price": 2_500, "priceIncludesTax": true, "taxRate": 25}},
	}}, nil)
	v.admin.ask(t, goTo, vars{"id": id, "state": "ArrangingAdditionalPayment"}, nil)
	v.admin.ask(t, `mutation ($id: ID!, $tx: String!) { addManualPaymentToOrder(input: {orderId: $id, method: "card", transactionId: $tx, metadata: {}}) { `+errorResult+` } }`,
		vars{"id": id, "tx": fmt.Sprintf("EXTRA%s", id)}, nil)
	v.admin.ask(t, goTo, vars{"id": id, "state": "PaymentSettled"}, nil)
	return []string{note, p.moved().Street}
}
