package destination

import (
	"encoding/json"
	"strings"
)

// MaxPayload is the size in bytes beyond which a payload is rejected unread. Hundreds of events are
// in memory at a time; a cart of a thousand items has about 200 kB.
const MaxPayload = 256 << 10

//go:generate go test . -run TestDescription -update

// Payload is what the shop says about an event, with every known member in the recommended form. An object
// the shop left out is nil. A member that is null, or an empty string, counts as left out, and so does one
// that cannot be read: Omitted names those.
//
// The tags of these structs are the one description of the payload: the reader, docs/event.schema.json
// and the table in docs/shop.md are made from them.
//   - member is the name in JSON.
//   - form is one of forms; where it is left out, it follows from the Go type.
//   - about says what the name does not, for the schema and the table: no capital at the beginning,
//     no full stop at the end.
type Payload struct {
	Customer *Customer       `member:"customer"`
	Order    *Order          `member:"order"`
	Cart     *Cart           `member:"cart" about:"the whole cart, never a change to one"`
	Product  *Product        `member:"product" about:"what product_viewed is about"`
	Search   *Search         `member:"search" about:"what the visitor looked for in the shop"`
	Optin    *Optin          `member:"optin" about:"what the visitor said about being written to: true, false, or left out for unknown"`
	Client   *Browser        `member:"client" about:"what the visitor's browser told. The identifiers that providers' scripts set are not on an order by themselves: note them at the checkout"`
	Custom   json.RawMessage `member:"custom" about:"free: any JSON"` // as written; nil if left out
	Omitted  Omissions       `member:"-"`
}

// Customer is who did it.
type Customer struct {
	ID        string   `member:"id" about:"the shop's own customer id"`
	Email     string   `member:"email" form:"email"`
	Phone     string   `member:"phone" form:"phone"`
	FirstName string   `member:"first_name"`
	LastName  string   `member:"last_name"`
	Company   string   `member:"company"`
	Gender    string   `member:"gender"`
	Birthday  string   `member:"birthday" form:"date"`
	Language  string   `member:"language" form:"language" about:"such as da or da-DK"`
	Address   *Address `member:"address"`
	Tags      []string `member:"tags"`
	IsNew     bool     `member:"is_new"`
}

// Address is a postal address.
type Address struct {
	Lines      []string `member:"lines"`
	PostalCode string   `member:"postal_code"`
	City       string   `member:"city"`
	Region     string   `member:"region"`
	Country    string   `member:"country" form:"country"`
}

// Order is an order as it stood when the event happened.
type Order struct {
	Ref            string `member:"ref" about:"the shop's permanent order reference"`
	Number         string `member:"number"`
	Currency       string `member:"currency" form:"currency"`
	Total          Money  `member:"total" about:"tax included"`
	Tax            Money  `member:"tax"`
	Shipping       Money  `member:"shipping"`
	Discount       Money  `member:"discount"`
	Coupon         string `member:"coupon"`
	PaymentMethod  string `member:"payment_method"`
	TransactionID  string `member:"transaction_id"`
	DeliveryMethod string `member:"delivery_method"`
	DeliveryDate   string `member:"delivery_date" form:"day"`
	Items          []Item `member:"items"`
}

// Cart is a whole cart, never a change to one.
type Cart struct {
	ID       string `member:"id"`
	Currency string `member:"currency" form:"currency"`
	Total    Money  `member:"total"`
	Items    []Item `member:"items"`
}

// Item is a line of an order or a cart.
type Item struct {
	SKU       string   `member:"sku"`
	Name      string   `member:"name"`
	Brand     string   `member:"brand"`
	Category  string   `member:"category"`
	Variant   string   `member:"variant"`
	Quantity  Quantity `member:"quantity"`
	UnitPrice Money    `member:"unit_price"`
}

// Product is what product_viewed is about.
type Product struct {
	Currency  string `member:"currency" form:"currency" about:"of the price"`
	SKU       string `member:"sku"`
	Name      string `member:"name"`
	Brand     string `member:"brand"`
	Category  string `member:"category"`
	Variant   string `member:"variant"`
	UnitPrice Money  `member:"unit_price"`
}

// Search is what the visitor looked for in the shop.
type Search struct {
	Term    string `member:"term"`
	Results *int64 `member:"results" about:"how many were found"` // nil: not told
}

// Optin is what the visitor said about being written to: nil is unknown.
type Optin struct {
	Email *bool `member:"email" form:"answer"`
	SMS   *bool `member:"sms" form:"answer"`
}

// Browser holds what the visitor's browser told, one field per provider identifier.
type Browser struct {
	IP              string `member:"ip" form:"ip"`
	UserAgent       string `member:"user_agent"`
	PageURL         string `member:"page_url"`
	PageTitle       string `member:"page_title"`
	Referrer        string `member:"referrer"`
	GAClientID      string `member:"ga_client_id" about:"Google Analytics: the last two parts of the cookie _ga"`
	GASessionID     string `member:"ga_session_id" about:"Google Analytics: the session in the cookie _ga_<stream>"`
	FBP             string `member:"fbp" about:"Meta: the cookie _fbp"`
	FBC             string `member:"fbc" about:"Meta: the cookie _fbc"`
	TTClid          string `member:"ttclid" about:"TikTok: the URL parameter ttclid"`
	TTP             string `member:"ttp" about:"TikTok: the cookie _ttp"`
	Epik            string `member:"epik" about:"Pinterest: the cookie _epik, or the URL parameter epik"`
	MSClkID         string `member:"msclkid" about:"Microsoft Advertising: the URL parameter msclkid"`
	MatomoID        string `member:"matomo_id" about:"Matomo: the visitor id in the cookie _pk_id, 16 hexadecimal digits"`
	SnowplowID      string `member:"snowplow_id" about:"Snowplow: the domain user id in the cookie _sp_id"`
	SnowplowSession string `member:"snowplow_session" about:"Snowplow: the domain session id in the cookie _sp_id"`
	KlaviyoID       string `member:"klaviyo_id" about:"Klaviyo: the URL parameter _kx"`
	SpreadCookie    string `member:"spread_cookie" about:"SPREAD: the cookie sbt"`
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
