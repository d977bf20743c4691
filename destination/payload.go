package destination

import (
	"encoding/json"
	"strings"

	"github.com/cockroachdb/apd/v3"
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
	Product  *Product        `member:"product" about:"what product_viewed, wishlist_item_added and cart_item_removed are about"`
	Search   *Search         `member:"search" about:"what the visitor looked for in the shop"`
	List     *List           `member:"list" about:"the list of products that list_viewed is about, such as a category"`
	Promo    *Promotion      `member:"promotion" about:"what promotion_viewed and promotion_selected are about"`
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
	Remaining      Money  `member:"remaining" about:"what is left of the total after a partial refund"`
	Coupon         string `member:"coupon"`
	PaymentMethod  string `member:"payment_method"`
	TransactionID  string `member:"transaction_id"`
	DeliveryMethod string `member:"delivery_method"`
	DeliveryDate   string `member:"delivery_date" form:"day"`
	Items          []Item `member:"items"`
}

// Cart is a whole cart, never a change to one.
type Cart struct {
	ID             string `member:"id"`
	Currency       string `member:"currency" form:"currency"`
	Total          Money  `member:"total"`
	Coupon         string `member:"coupon"`
	PaymentMethod  string `member:"payment_method" about:"once it is chosen"`
	DeliveryMethod string `member:"delivery_method" about:"once it is chosen"`
	Items          []Item `member:"items"`
}

// Item is a line of an order or a cart.
type Item struct {
	SKU       string   `member:"sku"`
	Name      string   `member:"name"`
	Brand     string   `member:"brand"`
	Category  string   `member:"category"`
	Category2 string   `member:"category2" about:"the level below category, as the next three"`
	Category3 string   `member:"category3"`
	Category4 string   `member:"category4"`
	Category5 string   `member:"category5"`
	Variant   string   `member:"variant"`
	Quantity  Quantity `member:"quantity"`
	UnitPrice Money    `member:"unit_price"`
	Discount  Money    `member:"discount" about:"what the unit price is reduced by"`
	Coupon    string   `member:"coupon"`
	ListID    string   `member:"list_id" about:"where the visitor found it"`
	ListName  string   `member:"list_name"`
}

// Product is what product_viewed is about, or what went into a wish list or out of a cart.
type Product struct {
	Currency  string   `member:"currency" form:"currency" about:"of the price"`
	SKU       string   `member:"sku"`
	Name      string   `member:"name"`
	Brand     string   `member:"brand"`
	Category  string   `member:"category"`
	Category2 string   `member:"category2"`
	Category3 string   `member:"category3"`
	Category4 string   `member:"category4"`
	Category5 string   `member:"category5"`
	Variant   string   `member:"variant"`
	UnitPrice Money    `member:"unit_price"`
	Quantity  Quantity `member:"quantity" about:"how many went out of the cart; 1 if left out"`
	ListID    string   `member:"list_id" about:"where the visitor found it"`
	ListName  string   `member:"list_name"`
}

// Item is the product as the only line of something.
func (p *Product) Item() Item {
	quantity := p.Quantity
	if quantity == "" {
		quantity = "1"
	}
	return Item{
		SKU: p.SKU, Name: p.Name, Brand: p.Brand, Category: p.Category, Category2: p.Category2, Category3: p.Category3,
		Category4: p.Category4, Category5: p.Category5, Variant: p.Variant, Quantity: quantity, UnitPrice: p.UnitPrice,
		ListID: p.ListID, ListName: p.ListName,
	}
}

// List is a list of products that the visitor has seen, such as a category.
type List struct {
	ID       string `member:"id"`
	Name     string `member:"name"`
	Currency string `member:"currency" form:"currency" about:"of the prices"`
	Items    []Item `member:"items" about:"as far as they were shown"`
}

// Promotion is an offer within the shop, such as a banner.
type Promotion struct {
	ID       string `member:"id"`
	Name     string `member:"name"`
	Creative string `member:"creative" about:"which picture or text"`
	Slot     string `member:"slot" about:"where on the page"`
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
	GClid           string `member:"gclid" about:"Google Ads: the URL parameter gclid"`
	GBraid          string `member:"gbraid" about:"Google Ads: the URL parameter gbraid"`
	WBraid          string `member:"wbraid" about:"Google Ads: the URL parameter wbraid"`
	LiFatID         string `member:"li_fat_id" about:"LinkedIn: the cookie li_fat_id, or the URL parameter"`
	SCClid          string `member:"sc_click_id" about:"Snap: the URL parameter ScCid"`
	SCCookie        string `member:"sc_cookie1" about:"Snap: the cookie _scid"`
	RDTClid         string `member:"rdt_cid" about:"Reddit: the URL parameter rdt_cid"`
	RDTUUID         string `member:"rdt_uuid" about:"Reddit: the cookie _rdt_uuid"`
	AWC             string `member:"awc" about:"Awin: the URL parameter awc"`
	PartnerAdsPaid  string `member:"partner_ads_paid" about:"Partner-ads: the URL parameter paid"`
	PartnerAdsPacid string `member:"partner_ads_pacid" about:"Partner-ads: the URL parameter pacid"`
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

// Minus is the amount without another one; empty if one of them is.
func (m Money) Minus(other Money) Money { return m.with(string(other), decimals.Sub) }

// Times is the amount for so many pieces; empty if one of them is.
func (m Money) Times(pieces Quantity) Money { return m.with(string(pieces), decimals.Mul) }

func (m Money) with(other string, compute func(d, x, y *apd.Decimal) (apd.Condition, error)) Money {
	a, _, errA := apd.NewFromString(string(m))
	b, _, errB := apd.NewFromString(other)
	if errA != nil || errB != nil {
		return ""
	}
	var result apd.Decimal
	if _, err := compute(&result, a, b); err != nil {
		return ""
	}
	return Money(result.Text('f'))
}

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
