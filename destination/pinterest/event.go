package pinterest

import (
	"strconv"

	"kvit/destination"
)

// event is one of the field data. The published schema refuses any other key
// (https://github.com/api-evangelist/pinterest/blob/main/openapi/pinterest-events-api-openapi.yml).
type event struct {
	Name       string      `json:"event_name"`
	Source     string      `json:"action_source"`
	Time       int64       `json:"event_time"` // Unix seconds
	ID         string      `json:"event_id"`
	SourceURL  string      `json:"event_source_url,omitempty"`
	Language   string      `json:"language,omitempty"` // two letters, ISO 639-1
	UserData   userData    `json:"user_data"`
	CustomData *customData `json:"custom_data,omitempty"`
}

// customData is what the event is about. Amounts are strings.
type customData struct {
	Currency        string    `json:"currency,omitempty"`
	Value           string    `json:"value,omitempty"`
	ContentIDs      []string  `json:"content_ids,omitempty"`
	Contents        []content `json:"contents,omitempty"`
	NumItems        int64     `json:"num_items,omitempty"`
	OrderID         string    `json:"order_id,omitempty"`
	SearchString    string    `json:"search_string,omitempty"`
	ContentName     string    `json:"content_name,omitempty"`
	ContentCategory string    `json:"content_category,omitempty"`
	ContentBrand    string    `json:"content_brand,omitempty"`
}

type content struct {
	ID           string `json:"id,omitempty"`
	ItemPrice    string `json:"item_price,omitempty"`
	Quantity     int64  `json:"quantity,omitempty"`
	ItemName     string `json:"item_name,omitempty"`
	ItemCategory string `json:"item_category,omitempty"`
	ItemBrand    string `json:"item_brand,omitempty"`
}

const addToCart = "add_to_cart"

func newEvent(e destination.Event, called string) (event, *destination.Error) {
	user, rejected := newUserData(e.Payload)
	if rejected != nil {
		return event{}, rejected
	}
	data, rejected := newCustomData(e, called)
	if rejected != nil {
		return event{}, rejected
	}
	written := event{
		Name: called, Source: "web", Time: e.OccurredAt.Unix(), ID: e.Key,
		UserData: user, CustomData: data,
	}
	if e.Payload.Client != nil {
		written.SourceURL = destination.PageAddress(e.Payload.Client.PageURL)
	}
	if e.Payload.Customer != nil {
		written.Language = language(e.Payload.Customer.Language)
	}
	return written, nil
}

// newCustomData is nil for an event that is about nothing but the visitor.
func newCustomData(e destination.Event, called string) (*customData, *destination.Error) {
	p := e.Payload
	switch e.Name {
	case "order_placed", "order_paid", "order_shipped", "order_cancelled", "order_refunded", "order_partly_refunded":
		return ordered(e), e.UnreadSale()
	case "cart_updated", "checkout_started", "shipping_info_given", "payment_info_given":
		if p.Cart == nil {
			return nil, nil
		}
		if called == addToCart && p.Cart.Items != nil && len(p.Cart.Items) == 0 {
			return nil, destination.Reject("cart.items: is empty, and nothing was added to the cart")
		}
		return bought(p.Cart.Currency, p.Cart.Total, p.Cart.Items), nil
	case "product_viewed", "wishlist_item_added", "cart_item_removed":
		return viewed(p.Product), nil
	case "list_viewed":
		return listed(p.List), nil
	case "search":
		if p.Search == nil || p.Search.Term == "" {
			return nil, nil
		}
		return &customData{SearchString: p.Search.Term}, nil
	default:
		return nil, nil
	}
}

func ordered(e destination.Event) *customData {
	order := e.Payload.Order
	if order == nil {
		order = &destination.Order{}
	}
	data := bought(order.Currency, order.Total, order.Items)
	data.OrderID = e.Reference()
	return data
}

// bought leaves out amounts without a currency: Pinterest would take them for ones in the account's own.
func bought(currency string, total destination.Money, items []destination.Item) *customData {
	data := &customData{Currency: currency, Value: price(total, currency), NumItems: pieces(items)}
	for _, item := range items {
		if item.SKU != "" {
			data.ContentIDs = append(data.ContentIDs, item.SKU)
		}
		quantity, _ := whole(item.Quantity)
		data.Contents = append(data.Contents, content{
			ID: item.SKU, ItemPrice: price(item.UnitPrice, currency), Quantity: quantity,
			ItemName: item.Name, ItemCategory: item.Category, ItemBrand: item.Brand,
		})
	}
	return data
}

// viewed gives the price of the product, but no value: nothing was bought.
func viewed(product *destination.Product) *customData {
	if product == nil {
		return nil
	}
	data := &customData{
		Currency: product.Currency, ContentName: product.Name, ContentCategory: product.Category, ContentBrand: product.Brand,
		Contents: []content{{
			ID: product.SKU, ItemPrice: price(product.UnitPrice, product.Currency),
			ItemName: product.Name, ItemCategory: product.Category, ItemBrand: product.Brand,
		}},
	}
	if product.SKU != "" {
		data.ContentIDs = []string{product.SKU}
	}
	return data
}

// listed is a category, by its name.
func listed(list *destination.List) *customData {
	if list == nil {
		return nil
	}
	data := bought(list.Currency, "", list.Items)
	data.ContentCategory, data.NumItems = list.Name, 0
	return data
}

func price(amount destination.Money, currency string) string {
	if currency == "" {
		return ""
	}
	return string(amount.JSON())
}

// pieces is how many things there are; 0, which is not sent, if one of the quantities is not whole.
func pieces(items []destination.Item) int64 {
	var sum int64
	for _, item := range items {
		quantity, ok := whole(item.Quantity)
		if !ok {
			return 0
		}
		sum += quantity
	}
	return sum
}

// whole is a quantity as the integer that Pinterest wants; false if it is absent, or half a metre.
func whole(quantity destination.Quantity) (int64, bool) {
	n, err := strconv.ParseInt(string(quantity.JSON()), 10, 64)
	return n, err == nil
}
