package destination

import (
	"encoding/json"
	"strings"
)

// MaxPayload is the size in bytes beyond which a payload is rejected unread. Hundreds of events are
// in memory at a time; a cart of a thousand items has about 200 kB.
const MaxPayload = 256 << 10

// Payload is what the shop says about an event, with every known member checked; the JSON Schema is
// docs/event.schema.json. An object the shop left out is nil. A member that is null, or an empty
// string, counts as left out.
type Payload struct {
	Customer *Customer
	Order    *Order
	Cart     *Cart
	Product  *Product
	Search   *Search
	Optin    *Optin
	Client   *Browser
	Custom   json.RawMessage // free: any JSON, as written; nil if left out
}

// Customer is who did it.
type Customer struct {
	ID        string // the shop's own customer id
	Email     string
	Phone     string // E.164: +4512345678
	FirstName string
	LastName  string
	Company   string
	Gender    string
	Birthday  string // YYYY-MM-DD
	Language  string // such as da or da-DK
	Address   *Address
	Tags      []string
	IsNew     bool
}

// Address is a postal address.
type Address struct {
	Lines      []string
	PostalCode string
	City       string
	Region     string
	Country    string // ISO 3166-1 alpha-2
}

// Order is an order as it stood when the event happened.
type Order struct {
	Ref            string // the shop's permanent reference
	Number         string
	Currency       string // ISO 4217
	Total          Money  // tax included
	Tax            Money
	Shipping       Money
	Discount       Money
	Coupon         string
	PaymentMethod  string
	TransactionID  string
	DeliveryMethod string
	DeliveryDate   string // YYYY-MM-DD or RFC 3339
	Items          []Item
}

// Cart is a whole cart, never a change to one.
type Cart struct {
	ID       string
	Currency string // ISO 4217
	Total    Money
	Items    []Item
}

// Item is a line of an order or a cart.
type Item struct {
	SKU       string
	Name      string
	Brand     string
	Category  string
	Variant   string
	Quantity  Quantity
	UnitPrice Money
}

// Product is what product_viewed is about.
type Product struct {
	Currency  string // ISO 4217, of UnitPrice
	SKU       string
	Name      string
	Brand     string
	Category  string
	Variant   string
	UnitPrice Money
}

// Search is what the visitor looked for in the shop.
type Search struct {
	Term    string
	Results *int64 // how many were found; nil: not told
}

// Optin is what the visitor said about being written to: nil is unknown.
type Optin struct {
	Email *bool
	SMS   *bool
}

// Browser holds what the visitor's browser told, one field per provider identifier.
type Browser struct {
	IP              string
	UserAgent       string
	PageURL         string
	PageTitle       string
	Referrer        string
	GAClientID      string // Google Analytics: the last two parts of the cookie _ga
	GASessionID     string // Google Analytics: the session in the cookie _ga_<stream>
	FBP             string // Meta: cookie _fbp
	FBC             string // Meta: cookie _fbc
	TTClid          string // TikTok: URL parameter ttclid
	TTP             string // TikTok: cookie _ttp
	Epik            string // Pinterest: cookie _epik, or URL parameter epik
	MSClkID         string // Microsoft Advertising: URL parameter msclkid
	MatomoID        string // Matomo: visitor id, 16 hexadecimal digits, in the cookie _pk_id
	SnowplowID      string // Snowplow: domain user id, in the cookie _sp_id
	SnowplowSession string // Snowplow: domain session id, in the cookie _sp_id
	KlaviyoID       string // Klaviyo: exchange id, URL parameter _kx
	SpreadCookie    string // SPREAD: cookie sbt
}

// Money is an amount as a decimal string such as "749.00", at most 12 digits and 4 decimals.
type Money string

// Quantity is a positive number as written, at most 9 digits and 3 decimals.
type Quantity string

// JSON is the amount as a JSON number, digit for digit but for leading zeros, which JSON forbids; nil
// if there is none.
func (m Money) JSON() json.RawMessage { return number(string(m)) }

// JSON is the quantity as a JSON number; nil if there is none. Zeros at the end of the decimals are
// left out, so that a whole number looks like one.
func (q Quantity) JSON() json.RawMessage {
	text := string(q)
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return number(text)
}

// Whole is the quantity as a JSON number if it is a whole one, for providers that may refuse half a metre;
// otherwise nil.
func (q Quantity) Whole() json.RawMessage {
	n := q.JSON()
	if strings.Contains(string(n), ".") {
		return nil
	}
	return n
}

func number(decimal string) json.RawMessage {
	if decimal == "" {
		return nil
	}
	digits, negative := strings.CutPrefix(decimal, "-")
	digits = strings.TrimLeft(digits, "0")
	if digits == "" || digits[0] == '.' {
		digits = "0" + digits
	}
	if negative {
		digits = "-" + digits
	}
	return json.RawMessage(digits)
}
