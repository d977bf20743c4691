package snowplow

import (
	"strings"

	"kvit/destination"
)

// commerce is an action of Snowplow's e-commerce events, with the entities that belong to it
// (https://docs.snowplow.io/docs/events/ootb-data/ecommerce-events/).
func (e element) commerce(event destination.Event, action string) *destination.Error {
	var about entities
	if rejected := about.of(event, action); rejected != nil {
		return rejected
	}
	about.user(event.Payload.Customer)
	e["e"] = "ue"
	said := selfDescribing{actionSchema, map[string]string{"type": action}}
	e["ue_pr"] = string(destination.JSON(selfDescribing{eventSchema, said}))
	e.context(about)
	return nil
}

func (about *entities) of(event destination.Event, action string) *destination.Error {
	switch action {
	case transaction:
		return about.transaction(event)
	case refund:
		return about.refund(event)
	case productView:
		return about.viewed(event.Payload.Product)
	default:
		return about.carted(event.Payload.Cart, action)
	}
}

func (about *entities) transaction(event destination.Event) *destination.Error {
	ref, order, rejected := orderOf(event)
	if rejected != nil {
		return rejected
	}
	revenue, fits := amount(order.Total)
	switch {
	case !fits:
		return destination.Reject("order.total: must be from 0 to 9999999")
	case strings.TrimSpace(order.PaymentMethod) == "":
		return destination.Reject("order.payment_method: is required")
	case len(order.Items) == 0:
		return destination.Reject("order.items: is required, for the total quantity")
	}
	pieces, fits := quantity(order.Items)
	if !fits {
		return destination.Reject("order.items: must be up to 9999999 pieces")
	}
	data := members{"transaction_id": ref, "revenue": revenue, "currency": order.Currency, "total_quantity": pieces}
	data.text("payment_method", order.PaymentMethod, 128)
	data.text("discount_code", order.Coupon, 99)
	data.amount("tax", order.Tax)
	data.amount("shipping", order.Shipping)
	data.amount("discount_amount", order.Discount)
	about.add("transaction", data)
	about.products(order.Items, order.Currency)
	return nil
}

// refund takes a total with and without a minus: both say how much went back.
func (about *entities) refund(event destination.Event) *destination.Error {
	ref, order, rejected := orderOf(event)
	if rejected != nil {
		return rejected
	}
	back, fits := amount(positive(order.Total))
	if !fits {
		return destination.Reject("order.total: must be from -9999999 to 9999999")
	}
	about.add("refund", members{"transaction_id": ref, "currency": order.Currency, "refund_amount": back})
	about.products(order.Items, order.Currency)
	return nil
}

// orderOf is an order with what both of its schemas ask for.
func orderOf(event destination.Event) (ref string, order *destination.Order, rejected *destination.Error) {
	order = event.Payload.Order
	if order == nil {
		return "", nil, destination.Reject("order: is required")
	}
	ref = strings.TrimSpace(event.Reference())
	switch {
	case ref == "":
		return "", nil, destination.Reject("order_ref: is required, or order.ref")
	case len(ref) > maxID:
		return "", nil, destination.Reject("order_ref: must not be longer than %d bytes", maxID)
	case order.Currency == "":
		return "", nil, destination.Reject("order.currency: is required")
	case order.Total == "":
		return "", nil, destination.Reject("order.total: is required")
	}
	return ref, order, nil
}

func (about *entities) carted(cart *destination.Cart, action string) *destination.Error {
	if cart == nil {
		return destination.Reject("cart: is required")
	}
	if action == checkoutStep {
		about.add("checkout_step", members{"step": 1})
	}
	about.cart(cart)
	before := len(*about)
	about.products(cart.Items, cart.Currency)
	if action == addToCart && len(*about) == before {
		return destination.Reject("cart.items: must hold an item with sku, category and unit_price, and cart.currency be set")
	}
	return nil
}

func (about *entities) viewed(product *destination.Product) *destination.Error {
	if product == nil {
		return destination.Reject("product: is required")
	}
	if !about.product(product) {
		return destination.Reject("product: must have sku, category, unit_price and currency")
	}
	return nil
}
