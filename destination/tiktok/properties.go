package tiktok

import (
	"encoding/json"
	"slices"
	"strings"

	"kvit/destination"
)

// properties say what it was about.
type properties struct {
	Currency    string          `json:"currency,omitempty"`
	Value       json.RawMessage `json:"value,omitempty"`
	OrderID     string          `json:"order_id,omitempty"`
	ContentType string          `json:"content_type,omitempty"`
	Contents    []content       `json:"contents,omitempty"`
	Query       string          `json:"query,omitempty"`
}

type content struct {
	ID       string          `json:"content_id"`
	Name     string          `json:"content_name,omitempty"`
	Category string          `json:"content_category,omitempty"`
	Brand    string          `json:"brand,omitempty"`
	Price    json.RawMessage `json:"price,omitempty"`
	Quantity json.RawMessage `json:"quantity,omitempty"`
}

// propertiesOf is nil if there is nothing to say.
func propertiesOf(event destination.Event, called string) (*properties, *destination.Error) {
	var p properties
	p.fill(event)
	if unread := event.UnreadSale(); unread != nil {
		return nil, unread
	}
	switch {
	case isPurchase(called) && strings.HasPrefix(string(p.Value), "-"):
		return nil, destination.Reject("order.total: must not be negative")
	case called == addToCart && p.Contents == nil:
		return nil, destination.Reject("cart.items: must have an item with a sku")
	case p.isEmpty():
		return nil, nil //nolint:nilnil // nothing to say is no mistake
	}
	return &p, nil
}

// fill takes the object of the payload that the event is about; a custom event's is the first it has.
func (p *properties) fill(event destination.Event) {
	from, custom := event.Payload, strings.HasPrefix(event.Name, destination.CustomPrefix)
	is := func(names ...string) bool { return custom || slices.Contains(names, event.Name) }
	switch {
	case strings.HasPrefix(event.Name, "order_"), custom && (from.Order != nil || event.OrderRef != ""):
		p.OrderID = event.Reference()
		p.order(from.Order)
	case from.Cart != nil && is("cart_updated", "checkout_started", "shipping_info_given", "payment_info_given"):
		p.price(from.Cart.Total, from.Cart.Currency)
		p.items(from.Cart.Items)
	case from.Product != nil && is("product_viewed", "wishlist_item_added", "cart_item_removed"):
		p.product(from.Product)
	case from.Search != nil && is("search"):
		p.Query = from.Search.Term
	}
}

func (p *properties) order(o *destination.Order) {
	if o == nil {
		return
	}
	p.price(o.Total, o.Currency)
	p.items(o.Items)
}

func (p *properties) product(product *destination.Product) {
	p.price(product.UnitPrice, product.Currency)
	p.items([]destination.Item{{
		SKU: product.SKU, Name: product.Name, Brand: product.Brand, Category: product.Category, Quantity: "1", UnitPrice: product.UnitPrice,
	}})
}

// price leaves out an amount without a currency, which says nothing.
func (p *properties) price(amount destination.Money, currency string) {
	if amount != "" && currency != "" {
		p.Value, p.Currency = amount.JSON(), currency
	}
}

// items leaves out those without a SKU, which no catalogue can know.
func (p *properties) items(items []destination.Item) {
	for _, item := range items {
		if item.SKU == "" {
			continue
		}
		p.ContentType = "product"
		p.Contents = append(p.Contents, content{
			ID: item.SKU, Name: item.Name, Category: item.Category, Brand: item.Brand,
			Price: item.UnitPrice.JSON(), Quantity: item.Quantity.Whole(),
		})
	}
}

func (p *properties) isEmpty() bool {
	return p.Value == nil && p.OrderID == "" && p.Contents == nil && p.Query == ""
}
