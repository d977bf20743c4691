package destination

import (
	"bytes"
	"encoding/json"

	"github.com/tidwall/gjson"
)

// maxDepth keeps the recursion of the JSON reader small; the known members need 4.
const maxDepth = 100

// ParsePayload checks the payload of the event called name, as stored in the database. It is strict
// about the type and form of known members and passes over unknown ones, so that a shop may write
// more than this version knows. No payload (empty or JSON null) is an empty Payload. The error is
// Rejected; its reason names the field, never its value, nor a member the shop made up.
func ParsePayload(name string, raw []byte) (Payload, *Error) {
	if !IsName(name) {
		return Payload{}, Reject("name: is not the name of an event")
	}
	if len(raw) > MaxPayload {
		return Payload{}, Reject("payload: must not be larger than 256 KiB")
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return Payload{}, nil
	}
	if tooDeep(raw) {
		return Payload{}, Reject("payload: must not be nested deeper than %d levels", maxDepth)
	}
	if !gjson.ValidBytes(raw) {
		return Payload{}, Reject("payload: must be JSON")
	}
	var d decoder
	p := d.payload(gjson.ParseBytes(raw))
	if d.err != nil {
		return Payload{}, d.err
	}
	return p, nil
}

// tooDeep counts brackets outside strings; where there are few in all, it need not look where.
func tooDeep(raw []byte) bool {
	if bytes.Count(raw, []byte("{"))+bytes.Count(raw, []byte("[")) <= maxDepth {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			inString = !inString
		case inString:
			if c == '\\' {
				i++
			}
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// decoder reads members until one is wrong; the first mistake is kept.
type decoder struct{ err *Error }

// member is a value of the payload and the way to it, for the reason of a rejection.
type member struct {
	d      *decoder
	parent string // "order.items[2]"; empty at the top
	name   string
	value  gjson.Result
}

func (m member) path() string {
	if m.parent == "" {
		return m.name
	}
	return m.parent + "." + m.name
}

// reject keeps the first mistake.
func (m member) reject(must string) {
	if m.d.err == nil {
		m.d.err = Reject("%s: %s", m.path(), must)
	}
}

// object calls read for each member that is not null, until one is wrong. It returns whether there
// is an object at all.
func (d *decoder) object(path string, value gjson.Result, read func(member)) bool {
	if value.Type == gjson.Null {
		return false
	}
	if !value.IsObject() {
		member{d: d, name: path}.reject("must be an object")
		return false
	}
	value.ForEach(func(key, value gjson.Result) bool {
		if value.Type != gjson.Null {
			read(member{d: d, parent: path, name: key.Str, value: value})
		}
		return d.err == nil
	})
	return d.err == nil
}

func (d *decoder) payload(value gjson.Result) Payload {
	var p Payload
	if !value.IsObject() {
		d.err = Reject("payload: must be an object")
		return p
	}
	value.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "customer":
			p.Customer = d.customer(value)
		case "order":
			p.Order = d.order(value)
		case "cart":
			p.Cart = d.cart(value)
		case "product":
			p.Product = d.product(value)
		case "search":
			p.Search = d.search(value)
		case "optin":
			p.Optin = d.optin(value)
		case "client":
			p.Client = d.client(value)
		case "custom":
			p.Custom = free(value)
		}
		return d.err == nil
	})
	return p
}

func free(value gjson.Result) json.RawMessage {
	if value.Type == gjson.Null {
		return nil
	}
	return json.RawMessage(value.Raw)
}

func (d *decoder) customer(value gjson.Result) *Customer {
	var c Customer
	found := d.object("customer", value, func(m member) {
		switch m.name {
		case "id":
			c.ID = m.text()
		case "email":
			c.Email = m.email()
		case "phone":
			c.Phone = m.phone()
		case "first_name":
			c.FirstName = m.text()
		case "last_name":
			c.LastName = m.text()
		case "company":
			c.Company = m.text()
		case "gender":
			c.Gender = m.text()
		case "birthday":
			c.Birthday = m.birthday()
		case "language":
			c.Language = m.text()
		case "address":
			c.Address = d.address(m.value)
		case "tags":
			c.Tags = m.texts()
		case "is_new":
			c.IsNew = m.boolean()
		}
	})
	if !found {
		return nil
	}
	return &c
}

func (d *decoder) address(value gjson.Result) *Address {
	var a Address
	found := d.object("customer.address", value, func(m member) {
		switch m.name {
		case "lines":
			a.Lines = m.texts()
		case "postal_code":
			a.PostalCode = m.text()
		case "city":
			a.City = m.text()
		case "region":
			a.Region = m.text()
		case "country":
			a.Country = m.country()
		}
	})
	if !found {
		return nil
	}
	return &a
}

func (d *decoder) order(value gjson.Result) *Order {
	var o Order
	found := d.object("order", value, func(m member) {
		switch m.name {
		case "ref":
			o.Ref = m.text()
		case "number":
			o.Number = m.text()
		case "currency":
			o.Currency = m.currency()
		case "total":
			o.Total = m.money()
		case "tax":
			o.Tax = m.money()
		case "shipping":
			o.Shipping = m.money()
		case "discount":
			o.Discount = m.money()
		case "coupon":
			o.Coupon = m.text()
		case "payment_method":
			o.PaymentMethod = m.text()
		case "transaction_id":
			o.TransactionID = m.text()
		case "delivery_method":
			o.DeliveryMethod = m.text()
		case "delivery_date":
			o.DeliveryDate = m.day()
		case "items":
			o.Items = m.items()
		}
	})
	if !found {
		return nil
	}
	return &o
}

func (d *decoder) cart(value gjson.Result) *Cart {
	var c Cart
	found := d.object("cart", value, func(m member) {
		switch m.name {
		case "id":
			c.ID = m.text()
		case "currency":
			c.Currency = m.currency()
		case "total":
			c.Total = m.money()
		case "items":
			c.Items = m.items()
		}
	})
	if !found {
		return nil
	}
	return &c
}

func (d *decoder) item(path string, value gjson.Result) Item {
	var item Item
	found := d.object(path, value, func(m member) {
		switch m.name {
		case "sku":
			item.SKU = m.text()
		case "name":
			item.Name = m.text()
		case "brand":
			item.Brand = m.text()
		case "category":
			item.Category = m.text()
		case "variant":
			item.Variant = m.text()
		case "quantity":
			item.Quantity = m.quantity()
		case "unit_price":
			item.UnitPrice = m.money()
		}
	})
	if !found {
		member{d: d, name: path}.reject("must be an object")
	}
	return item
}

func (d *decoder) product(value gjson.Result) *Product {
	var p Product
	found := d.object("product", value, func(m member) {
		switch m.name {
		case "currency":
			p.Currency = m.currency()
		case "sku":
			p.SKU = m.text()
		case "name":
			p.Name = m.text()
		case "brand":
			p.Brand = m.text()
		case "category":
			p.Category = m.text()
		case "variant":
			p.Variant = m.text()
		case "unit_price":
			p.UnitPrice = m.money()
		}
	})
	if !found {
		return nil
	}
	return &p
}

func (d *decoder) search(value gjson.Result) *Search {
	var s Search
	found := d.object("search", value, func(m member) {
		switch m.name {
		case "term":
			s.Term = m.text()
		case "results":
			s.Results = m.count()
		}
	})
	if !found {
		return nil
	}
	return &s
}

func (d *decoder) optin(value gjson.Result) *Optin {
	var o Optin
	found := d.object("optin", value, func(m member) {
		switch m.name {
		case "email":
			o.Email = new(m.boolean())
		case "sms":
			o.SMS = new(m.boolean())
		}
	})
	if !found {
		return nil
	}
	return &o
}

func (d *decoder) client(value gjson.Result) *Browser {
	var c Browser
	found := d.object("client", value, func(m member) {
		switch m.name {
		case "ip":
			c.IP = m.ip()
		case "user_agent":
			c.UserAgent = m.text()
		case "page_url":
			c.PageURL = m.text()
		case "page_title":
			c.PageTitle = m.text()
		case "referrer":
			c.Referrer = m.text()
		case "ga_client_id":
			c.GAClientID = m.text()
		case "ga_session_id":
			c.GASessionID = m.text()
		case "fbp":
			c.FBP = m.text()
		case "fbc":
			c.FBC = m.text()
		case "ttclid":
			c.TTClid = m.text()
		case "ttp":
			c.TTP = m.text()
		case "epik":
			c.Epik = m.text()
		case "msclkid":
			c.MSClkID = m.text()
		case "matomo_id":
			c.MatomoID = m.text()
		case "snowplow_id":
			c.SnowplowID = m.text()
		case "snowplow_session":
			c.SnowplowSession = m.text()
		case "klaviyo_id":
			c.KlaviyoID = m.text()
		case "spread_cookie":
			c.SpreadCookie = m.text()
		}
	})
	if !found {
		return nil
	}
	return &c
}
