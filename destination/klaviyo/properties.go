package klaviyo

import (
	"encoding/json"
	"slices"

	"kvit/destination"
)

// orderProperties has the lists beside Items because Klaviyo makes segments of top-level members alone.
type orderProperties struct {
	OrderID        string          `json:"OrderId"`
	OrderNumber    string          `json:"OrderNumber,omitempty"`
	Tax            json.RawMessage `json:"Tax,omitempty"`
	Shipping       json.RawMessage `json:"Shipping,omitempty"`
	DiscountCode   string          `json:"DiscountCode,omitempty"`
	DiscountValue  json.RawMessage `json:"DiscountValue,omitempty"`
	PaymentMethod  string          `json:"PaymentMethod,omitempty"`
	DeliveryMethod string          `json:"DeliveryMethod,omitempty"`
	DeliveryDate   string          `json:"DeliveryDate,omitempty"`
	itemLists
}

type cartProperties struct {
	CartID string `json:"CartId,omitempty"`
	URL    string `json:"URL,omitempty"`
	itemLists
}

type itemLists struct {
	ItemNames  []string       `json:"ItemNames,omitempty"`
	Brands     []string       `json:"Brands,omitempty"`
	Categories []string       `json:"Categories,omitempty"`
	Items      []itemProperty `json:"Items,omitempty"`
}

type itemProperty struct {
	SKU         string          `json:"SKU,omitempty"`
	ProductName string          `json:"ProductName,omitempty"`
	Brand       string          `json:"Brand,omitempty"`
	Category    string          `json:"Category,omitempty"`
	Variant     string          `json:"Variant,omitempty"`
	Quantity    json.RawMessage `json:"Quantity,omitempty"`
	ItemPrice   json.RawMessage `json:"ItemPrice,omitempty"`
}

type productProperties struct {
	SKU         string          `json:"SKU,omitempty"`
	ProductName string          `json:"ProductName,omitempty"`
	Brand       string          `json:"Brand,omitempty"`
	Categories  []string        `json:"Categories,omitempty"`
	Variant     string          `json:"Variant,omitempty"`
	Price       json.RawMessage `json:"Price,omitempty"`
	URL         string          `json:"URL,omitempty"`
}

type searchProperties struct {
	Term    string `json:"SearchTerm"`
	Results *int64 `json:"ReturnedResults,omitempty"`
	URL     string `json:"URL,omitempty"`
}

type pageProperties struct {
	URL   string `json:"URL"`
	Title string `json:"PageTitle,omitempty"`
}

func order(event destination.Event) (any, amount, *destination.Error) {
	o := event.Payload.Order
	if o == nil {
		o = &destination.Order{}
	}
	ref := event.Reference()
	if ref == "" {
		return nil, amount{}, destination.Reject("order_ref: is required, or order.ref")
	}
	if unread := event.UnreadSale(); unread != nil {
		return nil, amount{}, unread
	}
	return orderProperties{
		OrderID: ref, OrderNumber: o.Number,
		Tax: o.Tax.JSON(), Shipping: o.Shipping.JSON(), DiscountCode: o.Coupon, DiscountValue: o.Discount.JSON(),
		PaymentMethod: o.PaymentMethod, DeliveryMethod: o.DeliveryMethod, DeliveryDate: o.DeliveryDate,
		itemLists: listsOf(o.Items),
	}, amount{o.Total, o.Currency}, nil
}

// cart refuses one that is known to be empty: flows that remind of what was left would remind of nothing.
func cart(event destination.Event) (any, amount, *destination.Error) {
	c := event.Payload.Cart
	if c == nil {
		return nil, amount{}, destination.Reject("cart: is required")
	}
	if c.Items != nil && len(c.Items) == 0 {
		return nil, amount{}, destination.Reject("cart.items: is empty, and Klaviyo is only told of what is in a cart")
	}
	return cartProperties{CartID: c.ID, URL: pageURL(event), itemLists: listsOf(c.Items)}, amount{c.Total, c.Currency}, nil
}

func product(event destination.Event) (any, amount, *destination.Error) {
	p := event.Payload.Product
	if p == nil || (p.SKU == "" && p.Name == "") {
		return nil, amount{}, destination.Reject("product.sku: is required, or product.name")
	}
	properties := productProperties{
		SKU: p.SKU, ProductName: p.Name, Brand: p.Brand, Categories: given(p.Category), Variant: p.Variant,
		Price: p.UnitPrice.JSON(), URL: pageURL(event),
	}
	return properties, amount{p.UnitPrice, p.Currency}, nil
}

func search(event destination.Event) (any, *destination.Error) {
	s := event.Payload.Search
	if s == nil || s.Term == "" {
		return nil, destination.Reject("search.term: is required")
	}
	return searchProperties{Term: s.Term, Results: s.Results, URL: pageURL(event)}, nil
}

func page(event destination.Event) (any, *destination.Error) {
	url := pageURL(event)
	if url == "" {
		return nil, destination.Reject("client.page_url: is required")
	}
	return pageProperties{URL: url, Title: event.Payload.Client.PageTitle}, nil
}

func pageURL(event destination.Event) string {
	if event.Payload.Client == nil {
		return ""
	}
	return event.Payload.Client.PageURL
}

func listsOf(items []destination.Item) itemLists {
	var lists itemLists
	for _, item := range items {
		lists.ItemNames = append(lists.ItemNames, given(item.Name)...)
		lists.Brands = append(lists.Brands, given(item.Brand)...)
		lists.Categories = append(lists.Categories, given(item.Category)...)
		lists.Items = append(lists.Items, itemProperty{
			SKU: item.SKU, ProductName: item.Name, Brand: item.Brand, Category: item.Category, Variant: item.Variant,
			Quantity: item.Quantity.JSON(), ItemPrice: item.UnitPrice.JSON(),
		})
	}
	lists.ItemNames, lists.Brands, lists.Categories = unique(lists.ItemNames), unique(lists.Brands), unique(lists.Categories)
	return lists
}

func given(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

func unique(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}
