package meta

import (
	"encoding/json"
	"strings"

	"kvit/destination"
)

// customData says what it was about.
type customData struct {
	Currency     string          `json:"currency,omitempty"`
	Value        json.RawMessage `json:"value,omitempty"`
	OrderID      string          `json:"order_id,omitempty"`
	ContentType  string          `json:"content_type,omitempty"`
	Contents     []content       `json:"contents,omitempty"`
	ContentName  string          `json:"content_name,omitempty"`
	Category     string          `json:"content_category,omitempty"`
	SearchString string          `json:"search_string,omitempty"`
}

type content struct {
	ID       string          `json:"id"`
	Quantity json.RawMessage `json:"quantity,omitempty"`
	Price    json.RawMessage `json:"item_price,omitempty"`
	Title    string          `json:"title,omitempty"`
	Brand    string          `json:"brand,omitempty"`
	Category string          `json:"category,omitempty"`
}

// customOf is nil if there is nothing to say.
func customOf(event destination.Event, called string) (*customData, *destination.Error) {
	p := event.Payload
	var c customData
	switch subject(event) {
	case "order":
		c.OrderID = event.Reference()
		c.order(p.Order)
	case "cart":
		c.cart(p.Cart)
	case "product":
		c.product(p.Product)
	case "search":
		c.SearchString = p.Search.Term
	}
	if rejected := c.check(called); rejected != nil {
		return nil, rejected
	}
	if c.isEmpty() {
		return nil, nil //nolint:nilnil // nothing to say is no mistake
	}
	return &c, nil
}

// subject is the object of the payload that the event is about; empty if there is none. A custom event
// is about the first that it has.
func subject(event destination.Event) string {
	p, custom := event.Payload, strings.HasPrefix(event.Name, destination.CustomPrefix)
	is := func(names ...string) bool {
		for _, name := range names {
			if name == event.Name {
				return true
			}
		}
		return custom
	}
	switch {
	case strings.HasPrefix(event.Name, "order_"), custom && (p.Order != nil || event.OrderRef != ""):
		return "order"
	case p.Cart != nil && is("cart_updated", "checkout_started", "shipping_info_given", "payment_info_given"):
		return "cart"
	case p.Product != nil && is("product_viewed", "wishlist_item_added", "cart_item_removed"):
		return "product"
	case p.Search != nil && is("search"):
		return "search"
	default:
		return ""
	}
}

func (c *customData) order(o *destination.Order) {
	if o == nil {
		return
	}
	c.price(o.Total, o.Currency)
	c.items(o.Items)
}

func (c *customData) cart(cart *destination.Cart) {
	c.price(cart.Total, cart.Currency)
	c.items(cart.Items)
}

func (c *customData) product(p *destination.Product) {
	c.price(p.UnitPrice, p.Currency)
	c.ContentName, c.Category = p.Name, p.Category
	c.items([]destination.Item{{SKU: p.SKU, Name: p.Name, Brand: p.Brand, Category: p.Category, Quantity: "1", UnitPrice: p.UnitPrice}})
}

// price leaves out an amount without a currency, which says nothing.
func (c *customData) price(amount destination.Money, currency string) {
	if amount != "" && currency != "" {
		c.Value, c.Currency = amount.JSON(), currency
	}
}

// items leaves out those without a SKU, which no catalogue can know.
func (c *customData) items(items []destination.Item) {
	for _, item := range items {
		if item.SKU == "" {
			continue
		}
		c.ContentType = "product"
		c.Contents = append(c.Contents, content{
			ID: item.SKU, Quantity: item.Quantity.Whole(), Price: item.UnitPrice.JSON(),
			Title: item.Name, Brand: item.Brand, Category: item.Category,
		})
	}
}

// check refuses what Meta would count wrongly, or refuse together with a whole request.
func (c *customData) check(called string) *destination.Error {
	switch {
	case called == purchase && c.Value == nil:
		return destination.Reject("order.total: is required with order.currency")
	case called == purchase && c.Value[0] == '-':
		return destination.Reject("order.total: must not be negative")
	case called == addToCart && c.Contents == nil:
		return destination.Reject("cart.items: must have an item with a sku")
	}
	return nil
}

func (c *customData) isEmpty() bool {
	return c.Value == nil && c.OrderID == "" && c.Contents == nil && c.ContentName == "" && c.Category == "" && c.SearchString == ""
}
