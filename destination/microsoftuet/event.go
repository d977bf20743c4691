package microsoftuet

import (
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
		written.SourceURL, written.Referrer = destination.PageAddress(client.PageURL), destination.PageAddress(client.Referrer)
		written.PageTitle = client.PageTitle
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
	if written.Custom, rejected = newCustomData(e, called); rejected != nil {
		return event{}, rejected
	}
	return written, nil
}

// newUserData leaves the click id out where ad storage is denied, since that is what was stored.
func newUserData(p destination.Payload, granted bool) (userData, *destination.Error) {
	var u userData
	if p.Customer != nil {
		u.Email, u.Phone = destination.Hashed(normalEmail(p.Customer.Email)), destination.Hashed(p.Customer.Phone)
		if !strings.Contains(p.Customer.ID, "@") { // an e-mail address has to be hashed
			u.ExternalID = p.Customer.ID
		}
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

// normalEmail is the address as Microsoft hashes it at every domain, without the dots and the part from a + on before
// the @, and without accents (https://help.ads.microsoft.com/#apex/ads/en/60178/-1).
func normalEmail(address string) string {
	local, domain, found := strings.Cut(destination.WithoutAccents(destination.Lower(address)), "@")
	local, _, _ = strings.Cut(local, "+")
	if local = strings.ReplaceAll(local, ".", ""); local == "" || !found {
		return ""
	}
	return local + "@" + domain
}

// clickID is the form of an msclkid: 32 hexadecimal digits, with the hyphens of a UUID or without. One
// that somebody else wrote into the shop's URL would make Microsoft refuse the event.
var clickID = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}$`)

// newCustomData is nil for an event that is about nothing but the visitor.
func newCustomData(e destination.Event, called string) (*customData, *destination.Error) {
	p := e.Payload
	switch e.Name {
	case "order_placed", "order_paid", "order_shipped", "order_cancelled", "order_refunded", "order_partly_refunded":
		return ordered(e)
	case "cart_updated", "checkout_started", "shipping_info_given", "payment_info_given":
		if p.Cart == nil {
			return nil, nil
		}
		if called == addToCart && p.Cart.Items != nil && len(p.Cart.Items) == 0 {
			return nil, destination.Reject("cart.items: is empty, and nothing was added to the cart")
		}
		return bought("cart", p.Cart.Currency, p.Cart.Total, p.Cart.Items), nil
	case "product_viewed", "wishlist_item_added", "cart_item_removed":
		if p.Product == nil {
			return nil, nil
		}
		// The price of the product, but no value: nothing was bought.
		return bought("product", p.Product.Currency, "", []destination.Item{{
			SKU: p.Product.SKU, Name: p.Product.Name, UnitPrice: p.Product.UnitPrice,
		}}), nil
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
	pageType := ""
	if e.Name == "order_placed" || e.Name == "order_paid" {
		pageType = "purchase"
	}
	if unread := e.UnreadSale(); unread != nil {
		return nil, unread
	}
	data := bought(pageType, order.Currency, order.Total, order.Items)
	if data.TransactionID = e.Reference(); data.TransactionID == "" {
		return nil, destination.Reject("order_ref: is required, or order.ref")
	}
	return data, nil
}

// bought leaves out amounts without a currency: Microsoft would take them for ones in another.
func bought(pageType, currency string, total destination.Money, items []destination.Item) *customData {
	data := &customData{PageType: pageType, Currency: currency}
	if currency != "" {
		data.Value = total.JSON()
	}
	for _, line := range items {
		written := item{ID: line.SKU, Name: line.Name, Quantity: line.Quantity.Whole()}
		if currency != "" {
			written.Price = line.UnitPrice.JSON()
		}
		if line.SKU != "" {
			data.ItemIDs = append(data.ItemIDs, line.SKU)
		}
		data.Items = append(data.Items, written)
	}
	return data
}
