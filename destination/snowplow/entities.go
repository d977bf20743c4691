package snowplow

import (
	"encoding/json"
	"math/big"
	"strings"

	"kvit/destination"
)

// The schemas. Those of e-commerce are published in https://github.com/snowplow/iglu-central under
// schemas/com.snowplowanalytics.snowplow.ecommerce; what they ask for, and the lengths and ranges they
// allow, is kept here, since an event that breaks one of them fails as a whole.
const (
	eventSchema    = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
	contextsSchema = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0"
	actionSchema   = commerceSchemas + "snowplow_ecommerce_action/jsonschema/1-0-2"

	commerceSchemas = "iglu:com.snowplowanalytics.snowplow.ecommerce/"
)

const (
	maxID     = 4096
	maxNumber = 9_999_999
)

// selfDescribing is data with the schema that it keeps to.
type selfDescribing struct {
	Schema string `json:"schema"`
	Data   any    `json:"data"`
}

// entities are what an event is about.
type entities []selfDescribing

func (about *entities) add(name string, data members) {
	*about = append(*about, selfDescribing{commerceSchemas + name + "/jsonschema/1-0-0", data})
}

// members are those of an entity.
type members map[string]any

func (m members) text(name, value string, most int) {
	if value != "" {
		m[name] = destination.Cut(value, most)
	}
}

// amount leaves out what the schemas forbid: nothing that is not needed may spoil the event.
func (m members) amount(name string, value destination.Money) {
	if number, fits := amount(value); fits {
		m[name] = number
	}
}

// user is the customer by the shop's own id, never by e-mail address.
func (about *entities) user(customer *destination.Customer) {
	if customer == nil || customer.ID == "" || len(customer.ID) > 128 {
		return
	}
	about.add("user", members{"id": customer.ID})
}

func (about *entities) cart(cart *destination.Cart) {
	total, fits := amount(cart.Total)
	if !fits || cart.Currency == "" {
		return
	}
	data := members{"total_value": total, "currency": cart.Currency}
	data.text("cart_id", cart.ID, maxID)
	about.add("cart", data)
}

// products leaves out items that lack what the schema asks for.
func (about *entities) products(items []destination.Item, currency string) {
	for _, item := range items {
		data, ok := product(item, currency)
		if ok {
			about.add("product", data)
		}
	}
}

func (about *entities) product(from *destination.Product) bool {
	if from == nil {
		return false
	}
	data, ok := product(destination.Item{
		SKU: from.SKU, Name: from.Name, Brand: from.Brand, Category: from.Category, Variant: from.Variant, UnitPrice: from.UnitPrice,
	}, from.Currency)
	if ok {
		about.add("product", data)
	}
	return ok
}

func product(item destination.Item, currency string) (members, bool) {
	price, fits := amount(item.UnitPrice)
	if item.SKU == "" || len(item.SKU) > maxID || item.Category == "" || currency == "" || !fits {
		return nil, false
	}
	data := members{"id": item.SKU, "price": price, "currency": currency}
	data.text("category", item.Category, maxID)
	data.text("name", item.Name, maxID)
	data.text("brand", item.Brand, 256)
	data.text("variant", item.Variant, 256)
	if pieces, whole := pieces(item.Quantity); whole && pieces <= maxNumber {
		data["quantity"] = pieces
	}
	return data, true
}

// quantity adds up pieces. What is sold by length or weight counts as the next whole number, since the
// schema knows no other, and a line without a quantity as one piece.
func quantity(items []destination.Item) (sum int64, fits bool) {
	for _, item := range items {
		pieces, _ := pieces(item.Quantity)
		sum += max(pieces, 1)
	}
	return sum, sum <= maxNumber
}

// pieces is a quantity rounded up, and whether it was whole; 0 if there is none.
func pieces(q destination.Quantity) (n int64, whole bool) {
	value, ok := new(big.Rat).SetString(string(q))
	if !ok {
		return 0, false
	}
	up, rest := new(big.Int).QuoRem(value.Num(), value.Denom(), new(big.Int))
	if rest.Sign() == 0 {
		return up.Int64(), true
	}
	return up.Int64() + 1, false
}

// amount is money as the schemas want it: from 0 to 9,999,999, and whole hundredths, to which smaller
// parts are rounded, half away from zero. false: there is none, or it is out of that range.
func amount(money destination.Money) (json.RawMessage, bool) {
	value, ok := new(big.Rat).SetString(string(money))
	if !ok || value.Sign() < 0 || value.Cmp(big.NewRat(maxNumber, 1)) > 0 {
		return nil, false
	}
	return json.RawMessage(value.FloatString(min(decimals(money), 2))), true
}

// decimals is how many there are: 0 stays 0, and 0.10 stays 0.10.
func decimals(money destination.Money) int {
	_, after, _ := strings.Cut(string(money), ".")
	return len(after)
}

func positive(money destination.Money) destination.Money {
	return destination.Money(strings.TrimPrefix(string(money), "-"))
}
