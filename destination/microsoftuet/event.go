package microsoftuet

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"

	"kvit/destination"
)

// event is one of the field data.
type event struct {
	Type      string      `json:"eventType"` // pageLoad or custom
	Name      string      `json:"eventName,omitempty"`
	ID        string      `json:"eventId"`
	Time      int64       `json:"eventTime"` // Unix seconds
	SourceURL string      `json:"eventSourceUrl,omitempty"`
	Referrer  string      `json:"referrerUrl,omitempty"`
	PageTitle string      `json:"pageTitle,omitempty"`
	AdStorage string      `json:"adStorageConsent"` // G: granted, D: denied
	User      userData    `json:"userData"`
	Custom    *customData `json:"customData,omitempty"`
}

// userData is who did it: em and ph as SHA-256 in hexadecimal digits, the rest as it is.
type userData struct {
	Email      string `json:"em,omitempty"`
	Phone      string `json:"ph,omitempty"`
	ExternalID string `json:"externalId,omitempty"`
	UserAgent  string `json:"clientUserAgent,omitempty"`
	IP         string `json:"clientIpAddress,omitempty"`
	ClickID    string `json:"msclkid,omitempty"`
}

// customData is what the event is about.
type customData struct {
	PageType      string          `json:"pageType,omitempty"`
	TransactionID string          `json:"transactionId,omitempty"`
	Value         json.RawMessage `json:"value,omitempty"`
	Currency      string          `json:"currency,omitempty"`
	ItemIDs       []string        `json:"itemIds,omitempty"`
	Items         []item          `json:"items,omitempty"`
	SearchTerm    string          `json:"searchTerm,omitempty"`
}

type item struct {
	ID       string          `json:"id,omitempty"`
	Name     string          `json:"name,omitempty"`
	Price    json.RawMessage `json:"price,omitempty"`
	Quantity json.RawMessage `json:"quantity,omitempty"` // a whole number
}

func newEvent(e destination.Event, called string, granted bool) (event, *destination.Error) {
	written := event{Type: "custom", Name: called, ID: e.Key, Time: e.OccurredAt.Unix(), AdStorage: "D"}
	if granted {
		written.AdStorage = "G"
	}
	if client := e.Payload.Client; client != nil {
		written.SourceURL, written.Referrer, written.PageTitle = client.PageURL, client.Referrer, client.PageTitle
	}
	if called == PageLoad {
		written.Type, written.Name = PageLoad, ""
		if written.SourceURL == "" {
			return event{}, destination.Reject("client.page_url: is required for a page load")
		}
	}
	var rejected *destination.Error
	if written.User, rejected = newUserData(e.Payload, granted); rejected != nil {
		return event{}, rejected
	}
	if written.Custom, rejected = newCustomData(e); rejected != nil {
		return event{}, rejected
	}
	return written, nil
}

// newUserData leaves the click id out where ad storage is denied, since that is what was stored.
func newUserData(p destination.Payload, granted bool) (userData, *destination.Error) {
	var u userData
	if p.Customer != nil {
		u.Email = hashed(strings.ToLower(strings.TrimSpace(p.Customer.Email)))
		u.Phone = hashed(strings.TrimPrefix(p.Customer.Phone, "+"))
		u.ExternalID = p.Customer.ID
	}
	if p.Client != nil {
		u.UserAgent, u.IP = p.Client.UserAgent, p.Client.IP
		if granted && clickID.MatchString(p.Client.MSClkID) {
			u.ClickID = p.Client.MSClkID
		}
	}
	if u == (userData{}) {
		return u, destination.Reject("customer.email, customer.phone, customer.id or client: is required")
	}
	return u, nil
}

// clickID is the form of an msclkid: 32 hexadecimal digits, with the hyphens of a UUID or without. One
// that somebody else wrote into the shop's URL would make Microsoft refuse the event.
var clickID = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}$`)

// hashed is empty for an empty text: its hash would be the same for everybody.
func hashed(text string) string {
	if text == "" {
		return ""
	}
	return destination.SHA256Hex(text)
}

// newCustomData is nil for an event that is about nothing but the visitor.
func newCustomData(e destination.Event) (*customData, *destination.Error) {
	p := e.Payload
	switch e.Name {
	case "order_placed", "order_paid", "order_shipped", "order_cancelled", "order_refunded":
		return ordered(e)
	case "cart_updated", "checkout_started":
		if p.Cart == nil {
			return nil, nil
		}
		data, rejected := bought("cart", p.Cart.Currency, p.Cart.Total, p.Cart.Items)
		data.PageType = "cart"
		return &data, rejected
	case "product_viewed":
		if p.Product == nil {
			return nil, nil
		}
		// The price of the product, but no value: nothing was bought.
		data, rejected := bought("product", p.Product.Currency, "", []destination.Item{{
			SKU: p.Product.SKU, Name: p.Product.Name, UnitPrice: p.Product.UnitPrice,
		}})
		data.PageType = "product"
		return &data, rejected
	case "search":
		if p.Search == nil || p.Search.Term == "" {
			return nil, nil
		}
		return &customData{PageType: "searchresults", SearchTerm: p.Search.Term}, nil
	default:
		return nil, nil
	}
}

// ordered demands the reference, without which Microsoft takes no purchase.
func ordered(e destination.Event) (*customData, *destination.Error) {
	order := e.Payload.Order
	if order == nil {
		order = &destination.Order{}
	}
	ref := cmp.Or(e.OrderRef, order.Ref)
	if ref == "" {
		return nil, destination.Reject("order.ref: is required")
	}
	data, rejected := bought("order", order.Currency, order.Total, order.Items)
	data.TransactionID = ref
	if e.Name == "order_placed" || e.Name == "order_paid" {
		data.PageType = "purchase"
	}
	return &data, rejected
}

// bought rejects an amount without a currency: Microsoft would take it for one in another.
func bought(object, currency string, total destination.Money, items []destination.Item) (customData, *destination.Error) {
	if total != "" && currency == "" {
		return customData{}, destination.Reject("%s.currency: is required beside %s.total", object, object)
	}
	data := customData{Currency: currency, Value: total.JSON()}
	for _, line := range items {
		written := item{ID: line.SKU, Name: line.Name, Quantity: whole(line.Quantity)}
		if currency != "" {
			written.Price = line.UnitPrice.JSON()
		}
		if line.SKU != "" {
			data.ItemIDs = append(data.ItemIDs, line.SKU)
		}
		data.Items = append(data.Items, written)
	}
	return data, nil
}

// whole leaves half a metre out: nothing says that a quantity may have decimals.
func whole(quantity destination.Quantity) json.RawMessage {
	number := quantity.JSON()
	if strings.Contains(string(number), ".") {
		return nil
	}
	return number
}
