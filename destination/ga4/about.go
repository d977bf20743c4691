package ga4

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"kvit/destination"
)

// Items of one event: no more than Google takes, and no more bytes than leave room for the rest of it.
const (
	maxItems     = 200
	maxItemBytes = 100_000
)

// sale is a purchase or the refund of one. Google counts a purchase once for its transaction_id, which
// therefore must be there and must not be cut.
func sale(event destination.Event, called string) (params, *destination.Error) {
	order := event.Payload.Order
	if order == nil {
		return nil, destination.Reject("order: is required")
	}
	ref := strings.TrimSpace(event.Reference())
	switch {
	case ref == "":
		return nil, destination.Reject("order_ref: is required, or order.ref")
	case utf8.RuneCountInString(ref) > maxValue:
		return nil, destination.Reject("order_ref: must not be longer than %d characters", maxValue)
	case order.Currency == "":
		return nil, destination.Reject("order.currency: is required")
	case order.Total == "":
		return nil, destination.Reject("order.total: is required")
	case called == purchase && strings.HasPrefix(string(order.Total), "-"):
		return nil, destination.Reject("order.total: must not be negative")
	}
	if called == refund {
		order = givenBack(order)
	}
	p := orderParams(order)
	p["transaction_id"] = ref
	return p, nil
}

// givenBack is a refund without minuses, whichever amounts the shop writes with one: Google takes them off.
func givenBack(order *destination.Order) *destination.Order {
	positive := *order
	positive.Items = slices.Clone(order.Items)
	amounts := []*destination.Money{&positive.Total, &positive.Tax, &positive.Shipping}
	for i := range positive.Items {
		amounts = append(amounts, &positive.Items[i].UnitPrice, &positive.Items[i].Discount)
	}
	for _, amount := range amounts {
		*amount = destination.Money(strings.TrimPrefix(string(*amount), "-"))
	}
	return &positive
}

// ordered is anything else about an order: nothing is needed.
func ordered(event destination.Event) (params, *destination.Error) {
	p := params{}
	if order := event.Payload.Order; order != nil {
		p = orderParams(order)
		p.text("transaction_id", strings.TrimSpace(event.Reference()), maxValue)
	}
	return p, nil
}

func orderParams(order *destination.Order) params {
	p := params{}
	p.money(order.Currency, order.Total)
	if order.Currency != "" {
		p.number("tax", order.Tax.JSON())
		p.number("shipping", order.Shipping.JSON())
	}
	p.text("coupon", order.Coupon, maxValue)
	p.text("payment_type", order.PaymentMethod, maxValue)
	p.items(order.Items)
	return p
}

func carted(cart *destination.Cart) (params, *destination.Error) {
	if cart == nil {
		return nil, destination.Reject("cart: is required")
	}
	p := params{}
	p.money(cart.Currency, cart.Total)
	p.text("coupon", cart.Coupon, maxValue)
	p.text("shipping_tier", cart.DeliveryMethod, maxValue)
	p.text("payment_type", cart.PaymentMethod, maxValue)
	p.items(cart.Items)
	if p["items"] == nil {
		return nil, destination.Reject("cart.items: must hold an item with a sku or a name")
	}
	return p, nil
}

func viewed(product *destination.Product) (params, *destination.Error) {
	if product == nil {
		return nil, destination.Reject("product: is required")
	}
	p := params{}
	line := product.Item()
	p.money(product.Currency, product.UnitPrice.Times(line.Quantity))
	p.items([]destination.Item{line})
	if p["items"] == nil {
		return nil, destination.Reject("product.sku: is required, or product.name")
	}
	return p, nil
}

func listed(list *destination.List) (params, *destination.Error) {
	if list == nil {
		return nil, destination.Reject("list: is required")
	}
	p := params{}
	p.text("item_list_id", list.ID, maxValue)
	p.text("item_list_name", list.Name, maxValue)
	p.text("currency", list.Currency, maxValue)
	p.items(list.Items)
	if p["items"] == nil {
		return nil, destination.Reject("list.items: must hold an item with a sku or a name")
	}
	return p, nil
}

func promoted(promotion *destination.Promotion) (params, *destination.Error) {
	if promotion == nil || promotion.ID == "" && promotion.Name == "" {
		return nil, destination.Reject("promotion.id: is required, or promotion.name")
	}
	p := params{}
	p.text("promotion_id", promotion.ID, maxValue)
	p.text("promotion_name", promotion.Name, maxValue)
	p.text("creative_name", promotion.Creative, maxValue)
	p.text("creative_slot", promotion.Slot, maxValue)
	return p, nil
}

func searched(search *destination.Search) (params, *destination.Error) {
	if search == nil || search.Term == "" {
		return nil, destination.Reject("search.term: is required")
	}
	p := params{}
	p.text("search_term", search.Term, maxValue)
	return p, nil
}

func page(browser *destination.Browser) (params, *destination.Error) {
	if browser == nil || browser.PageURL == "" {
		return nil, destination.Reject("client.page_url: is required")
	}
	location := destination.PageAddress(browser.PageURL)
	if location == "" {
		return nil, destination.Reject("client.page_url: must be an address without @ before its path")
	}
	p := params{}
	p.text("page_location", location, maxLocation)
	p.text("page_referrer", destination.PageAddress(browser.Referrer), maxReferrer)
	p.text("page_title", browser.PageTitle, maxTitle)
	return p, nil
}

// items keeps the first that fit. The value of the event stays that of the whole, so that revenue is
// right even where a list of items is not complete.
func (p params) items(from []destination.Item) {
	var list []json.RawMessage
	size := 0
	for _, line := range from {
		if line.SKU == "" && line.Name == "" {
			continue // Google drops an event for an item without both
		}
		written := destination.JSON(lineOf(line))
		size += len(written) + 1
		if size > maxItemBytes || len(list) == maxItems {
			break
		}
		list = append(list, written)
	}
	if list != nil {
		p["items"] = list
	}
}

func lineOf(from destination.Item) params {
	line := params{}
	line.text("item_id", from.SKU, maxValue)
	line.text("item_name", from.Name, maxValue)
	line.text("item_brand", from.Brand, maxValue)
	line.text("item_category", from.Category, maxValue)
	line.text("item_category2", from.Category2, maxValue)
	line.text("item_category3", from.Category3, maxValue)
	line.text("item_category4", from.Category4, maxValue)
	line.text("item_category5", from.Category5, maxValue)
	line.text("item_variant", from.Variant, maxValue)
	line.text("item_list_id", from.ListID, maxValue)
	line.text("item_list_name", from.ListName, maxValue)
	line.text("coupon", from.Coupon, maxValue)
	line.number("discount", from.Discount.JSON())
	line.number("price", from.UnitPrice.JSON())
	line.number("quantity", from.Quantity.JSON())
	return line
}
