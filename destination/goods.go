package destination

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Goods are what an event is about, as advertising has it: an order, a cart, a product, a list or a search.
type Goods struct {
	Reference string // of an order
	Currency  string
	Total     Money // of an order or a cart; a product that was looked at has a price, and no total
	Items     []Item
	Name      string // of a product or a list
	Category  string // of a product
	Term      string // of a search
}

// Goods gives what the event is about, by its name. A custom event is about the first that its payload has.
func (e Event) Goods() Goods {
	p := e.Payload
	switch {
	case e.isAbout(p.Order != nil || e.OrderRef != "", "order_placed", "order_paid", "order_shipped", "order_cancelled", "order_refunded", "order_partly_refunded"):
		return e.ordered()
	case e.isAbout(p.Cart != nil, "cart_updated", "checkout_started", "shipping_info_given", "payment_info_given"):
		return Goods{Currency: p.Cart.Currency, Total: p.Cart.Total, Items: p.Cart.Items}
	case e.isAbout(p.Product != nil, "product_viewed", "wishlist_item_added", "cart_item_removed"):
		return Goods{Currency: p.Product.Currency, Items: []Item{p.Product.Item()}, Name: p.Product.Name, Category: p.Product.Category}
	case e.isAbout(p.List != nil, "list_viewed"):
		return Goods{Currency: p.List.Currency, Items: p.List.Items, Name: p.List.Name}
	case e.isAbout(p.Search != nil, "search"):
		return Goods{Term: p.Search.Term}
	default:
		return Goods{}
	}
}

func (e Event) isAbout(has bool, names ...string) bool {
	return has && (slices.Contains(names, e.Name) || strings.HasPrefix(e.Name, CustomPrefix))
}

func (e Event) ordered() Goods {
	order := e.Payload.Order
	if order == nil {
		order = &Order{}
	}
	return Goods{Reference: e.Reference(), Currency: order.Currency, Total: order.Total, Items: order.Items}
}

// Amount is an amount in the currency of the goods as a JSON number: nil without a currency, in which it would
// say nothing, and for one below 0, which advertising does not know.
func (g Goods) Amount(amount Money) json.RawMessage {
	if g.Currency == "" || strings.HasPrefix(string(amount), "-") {
		return nil
	}
	return amount.JSON()
}

// Pieces is how many things there are; 0 if one of the quantities is missing or not whole.
func (g Goods) Pieces() int64 {
	var sum int64
	for _, item := range g.Items {
		n, err := strconv.ParseInt(string(item.Quantity.Whole()), 10, 64)
		if err != nil {
			return 0
		}
		sum += n
	}
	return sum
}

// PricelessSale rejects what a provider would count as a sale without its worth, or as one below 0.
func (g Goods) PricelessSale() *Error {
	switch {
	case strings.HasPrefix(string(g.Total), "-"):
		return Reject("order.total: must not be negative")
	case g.Amount(g.Total) == nil:
		return Reject("order.total: is required with order.currency")
	}
	return nil
}

// EmptyCart rejects a cart that the shop wrote with nothing in it, for providers that would be told of something
// added to one.
func (e Event) EmptyCart() *Error {
	cart := e.Payload.Cart
	if e.Name != "cart_updated" || cart == nil || cart.Items == nil || len(cart.Items) > 0 {
		return nil
	}
	return Reject("cart.items: is empty, and nothing was added to the cart")
}
