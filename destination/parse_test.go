package destination_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// whole has every member of the contract, and some that this version does not know.
const whole = `{
 "customer": {"id": "1042", "email": "jane.doe@example.com", "phone": "+12025550123", "first_name": "Jane", "last_name": "Doe",
  "company": "Example Ltd", "gender": "female", "birthday": "1990-05-17", "language": "en-GB", "loyalty_level": 3,
  "address": {"lines": ["1 Example Street", "2nd floor"], "postal_code": "8000", "city": "Exampleton", "region": "North", "country": "DK"},
  "tags": ["vip", "b2c"], "is_new": true},
 "order": {"ref": "E100042", "number": "100042", "currency": "DKK", "total": "749.00", "tax": "149.80", "shipping": "0", "discount": "-10.5",
  "coupon": "SPRING", "payment_method": "card", "transaction_id": "t-1", "delivery_method": "parcel", "delivery_date": "2025-03-07",
  "items": [{"sku": "SKU-9", "name": "Teapot", "brand": "Example", "category": "Kitchen", "variant": "blue", "quantity": 2, "unit_price": "299.00"},
            {"sku": "SKU-10", "quantity": 1.125, "unit_price": "0.1234"}]},
 "cart": {"id": "c-77", "currency": "DKK", "total": "299.00", "items": []},
 "optin": {"email": true, "sms": false},
 "client": {"ip": "2001:db8::1", "user_agent": "Example/1.0", "page_url": "https://shop.example.com/", "referrer": "https://example.com/",
  "ga_client_id": "1.2", "ga_session_id": "3", "fbp": "fb.1", "fbc": "fb.2", "ttclid": "t", "ttp": "p", "spread_cookie": "s", "other_id": 1},
 "custom": {"customer_group": "B2C"}, "novelty": [1]
}`

func TestParsePayloadReadsEveryMember(t *testing.T) {
	t.Parallel()
	p, err := destination.ParsePayload("order_paid", []byte(whole))
	require.Nil(t, err)
	yes, no := true, false
	require.Equal(t, destination.Payload{
		Customer: &destination.Customer{ID: "1042", Email: "jane.doe@example.com", Phone: "+12025550123", FirstName: "Jane", LastName: "Doe",
			Company: "Example Ltd", Gender: "female", Birthday: "1990-05-17", Language: "en-GB", Tags: []string{"vip", "b2c"}, IsNew: true,
			Address: &destination.Address{Lines: []string{"1 Example Street", "2nd floor"}, PostalCode: "8000", City: "Exampleton", Region: "North", Country: "DK"}},
		Order: &destination.Order{Ref: "E100042", Number: "100042", Currency: "DKK", Total: "749.00", Tax: "149.80", Shipping: "0", Discount: "-10.5",
			Coupon: "SPRING", PaymentMethod: "card", TransactionID: "t-1", DeliveryMethod: "parcel", DeliveryDate: "2025-03-07",
			Items: []destination.Item{
				{SKU: "SKU-9", Name: "Teapot", Brand: "Example", Category: "Kitchen", Variant: "blue", Quantity: "2", UnitPrice: "299.00"},
				{SKU: "SKU-10", Quantity: "1.125", UnitPrice: "0.1234"}}},
		Cart:  &destination.Cart{ID: "c-77", Currency: "DKK", Total: "299.00", Items: []destination.Item{}},
		Optin: &destination.Optin{Email: &yes, SMS: &no},
		Client: &destination.Browser{IP: "2001:db8::1", UserAgent: "Example/1.0", PageURL: "https://shop.example.com/", Referrer: "https://example.com/",
			GAClientID: "1.2", GASessionID: "3", FBP: "fb.1", FBC: "fb.2", TTClid: "t", TTP: "p", SpreadCookie: "s"},
		Custom: json.RawMessage(`{"customer_group": "B2C"}`),
	}, p)
}

// accepted and rejected are payloads on which the schema and ParsePayload must agree.
var accepted = map[string]string{
	"Whole":           whole,
	"Nothing":         `null`,
	"NoMembers":       `{}`,
	"NullMembers":     `{"customer": null, "order": {"total": null, "items": null}, "optin": {"email": null}, "cart": {"items": [{"quantity": null}]}}`,
	"EmptyStrings":    `{"customer": {"email": "", "phone": "", "birthday": "", "address": {"country": ""}}, "order": {"total": "", "delivery_date": ""}, "client": {"ip": ""}}`,
	"Unknown":         `{"customer": {"shoe_size": 44.5}, "x": 1}`,
	"CustomAnything":  `{"custom": 12.5}`,
	"DeliveryTime":    `{"order": {"delivery_date": "2025-03-07T10:00:00+01:00"}}`,
	"UnicodeMail":     `{"customer": {"email": "jané@exämple.com"}}`,
	"Zeros":           `{"cart": {"items": [{"quantity": 0.5}]}, "order": {"total": "0.00"}}`,
	"LongestMoney":    `{"order": {"total": "-123456789012.1234"}}`,
	"CaseOfTheMember": `{"customer": {"EMAIL": 12}}`,
}

// omitted are members that cannot be read, and the member of the note; MARKER stands for something that must not
// get into it.
var omitted = map[string]struct{ member, payload string }{
	"ObjectForText":  {"customer.company", `{"customer": {"company": {"MARKER": 1}}}`},
	"TextForObject":  {"customer", `{"customer": "MARKER"}`},
	"ListForObject":  {"order", `{"order": ["MARKER"]}`},
	"TextForAddress": {"customer.address", `{"customer": {"address": "MARKER"}}`},
	"MailWithoutAt":  {"customer.email", `{"customer": {"email": "MARKER"}}`},
	"MailTwoAt":      {"customer.email", `{"customer": {"email": "MARKER@a@example.com"}}`},
	"MailSpace":      {"customer.email", `{"customer": {"email": "MARKER x@example.com"}}`},
	"MailNoDot":      {"customer.email", `{"customer": {"email": "MARKER@example"}}`},
	"Phone":          {"customer.phone", `{"customer": {"phone": "MARKER"}}`},
	"PhoneLocal":     {"customer.phone", `{"customer": {"phone": "2025550123"}}`},
	"PhoneTooLong":   {"customer.phone", `{"customer": {"phone": "+1202555012312345"}}`},
	"BirthdayNoDay":  {"customer.birthday", `{"customer": {"birthday": "1990-02-30"}}`},
	"Country":        {"customer.address.country", `{"customer": {"address": {"country": "MARKER"}}}`},
	"IsNew":          {"customer.is_new", `{"customer": {"is_new": "MARKER"}}`},
	"MoneyTooLong":   {"order.total", `{"order": {"total": "6600661234567"}}`},
	"Currency":       {"cart.currency", `{"cart": {"currency": "MARKER"}}`},
	"DeliveryDate":   {"order.delivery_date", `{"order": {"delivery_date": "MARKER"}}`},
	"Items":          {"order.items", `{"order": {"items": {"MARKER": 1}}}`},
	"ItemNotObject":  {"order.items[1]", `{"order": {"items": [{}, "MARKER"]}}`},
	"ItemNull":       {"cart.items[0]", `{"cart": {"items": [null]}}`},
	"QuantityText":   {"order.items[2].quantity", `{"order": {"items": [{}, {}, {"quantity": "MARKER"}]}}`},
	"QuantityZero":   {"cart.items[0].quantity", `{"cart": {"items": [{"quantity": 0.0}]}}`},
	"QuantityLess":   {"cart.items[0].quantity", `{"cart": {"items": [{"quantity": -660066}]}}`},
	"Optin":          {"optin.email", `{"optin": {"email": "MARKER"}}`},
	"OptinNumber":    {"optin.sms", `{"optin": {"sms": 1}}`},
	"IP":             {"client.ip", `{"client": {"ip": "MARKER"}}`},
}

// put are odd forms of which something can be made; TestOddForms says what.
var put = map[string]struct{ member, payload string }{
	"Client":          {"client.user_agent", `{"client": {"user_agent": ["MARKER"]}}`},
	"Tags":            {"customer.tags", `{"customer": {"tags": ["MARKER", 1]}}`},
	"NumberForText":   {"customer.first_name", `{"customer": {"first_name": 660066}}`},
	"NumberForID":     {"customer.id", `{"customer": {"id": 660066}}`},
	"MailName":        {"customer.email", `{"customer": {"email": "MARKER <a@example.com>"}}`},
	"Birthday":        {"customer.birthday", `{"customer": {"birthday": "17.05.1990"}}`},
	"CountryLower":    {"customer.address.country", `{"customer": {"address": {"country": "dk"}}}`},
	"Lines":           {"customer.address.lines", `{"customer": {"address": {"lines": "MARKER"}}}`},
	"MoneyFloat":      {"order.total", `{"order": {"total": 660.066}}`},
	"MoneyInteger":    {"order.tax", `{"order": {"tax": 660066}}`},
	"MoneyComma":      {"order.shipping", `{"order": {"shipping": "660066,00"}}`},
	"MoneyPoint":      {"order.discount", `{"order": {"discount": "660066."}}`},
	"MoneyExponent":   {"order.total", `{"order": {"total": "660066e2"}}`},
	"MoneyTooFine":    {"order.total", `{"order": {"total": "660066.00000"}}`},
	"QuantityTooFine": {"cart.items[0].quantity", `{"cart": {"items": [{"quantity": 1.6606}]}}`},
	"UnitPrice":       {"cart.items[0].unit_price", `{"cart": {"items": [{"unit_price": 660.066}]}}`},
}

// TestOmissionsNameTheMember: what cannot be read costs the member, and is noted without its value.
func TestOmissionsNameTheMember(t *testing.T) {
	t.Parallel()
	for name, test := range omitted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := destination.ParsePayload("order_paid", []byte(test.payload))
			require.Nil(t, err)
			require.Len(t, p.Omitted, 1)
			require.Equal(t, test.member, p.Omitted[0].Place)
			note := p.Omitted.Note()
			require.Equal(t, "without "+test.member+": "+p.Omitted[0].Why, note)
			require.NotContains(t, note, "MARKER")
			require.NotContains(t, note, "66.0")
			require.NotContains(t, note, "6600")
		})
	}
}

// TestOmissionsOfLines: a member of the lines of an order is noted once, by its first line.
func TestOmissionsOfLines(t *testing.T) {
	t.Parallel()
	p, err := destination.ParsePayload("order_paid", []byte(`{"order": {"items": [{"sku": "A"}, 7, {"quantity": "x"}, {"sku": "B", "quantity": "y"}, null, {"unit_price": []}]}}`))
	require.Nil(t, err)
	require.Len(t, p.Order.Items, 4)
	require.Equal(t, destination.Omissions{
		{Member: "order.items", Place: "order.items[1]", Why: "no object"},
		{Member: "order.items.quantity", Place: "order.items[2].quantity", Why: "no number above 0 with at most 9 digits before the point"},
		{Member: "order.items.unit_price", Place: "order.items[5].unit_price", Why: "no amount with at most 12 digits before the point"},
	}, p.Omitted)
}

// TestRepeatedMember: of a member that is written twice the last one counts, and with it whether it is noted.
func TestRepeatedMember(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]struct{ phone, note string }{
		`{"customer": {"phone": "+4512345678", "phone": {}}}`:               {"", "without customer.phone: no text"},
		`{"customer": {"phone": {}, "phone": "+4512345678"}}`:               {"+4512345678", ""},
		`{"customer": {"phone": {}}, "customer": {"phone": "+4512345678"}}`: {"+4512345678", ""},
		`{"customer": 7, "customer": {"phone": "+4512345678"}}`:             {"+4512345678", ""},
	} {
		p, err := destination.ParsePayload("order_paid", []byte(payload))
		require.Nil(t, err)
		require.Equal(t, want.phone, p.Customer.Phone, payload)
		require.Equal(t, want.note, p.Omitted.Note(), payload)
	}
}

// TestRepeatedMemberWithoutValue: the last one counts also if it says nothing, as null or as an empty string.
func TestRepeatedMemberWithoutValue(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		`{"customer": {"email": "jane@example.com", "email": null}}`,
		`{"customer": {"email": "jane@example.com", "email": ""}}`,
		`{"customer": {"email": "jane", "email": null}}`,
		`{"customer": {"tags": ["a"], "tags": null}}`,
		`{"customer": {"is_new": true, "is_new": ""}}`,
		`{"customer": {"address": {"city": "Aarhus"}, "address": null}}`,
		`{"customer": {"address": {"city": "Aarhus"}, "address": " "}}`,
		`{"customer": {"address": {"city": [{}]}, "address": null}}`,
	} {
		p, err := destination.ParsePayload("order_paid", []byte(payload))
		require.Nil(t, err)
		require.Equal(t, destination.Customer{}, *p.Customer, payload)
		require.Empty(t, p.Omitted, payload)
	}
	for _, payload := range []string{
		`{"customer": {"email": "jane@example.com"}, "customer": ""}`,
		`{"cart": {"items": [{"sku": "A"}]}, "cart": null}`,
		`{"search": {"results": 7}, "search": ""}`,
		`{"custom": 1, "custom": null}`,
	} {
		p, err := destination.ParsePayload("order_paid", []byte(payload))
		require.Nil(t, err)
		require.Equal(t, destination.Payload{}, p, payload)
	}
	p, err := destination.ParsePayload("order_paid", []byte(`{"cart": {"items": [{"sku": "A"}], "items": ""}, "search": {"results": 7, "results": ""}, "optin": {"email": true, "email": null}}`))
	require.Nil(t, err)
	require.Equal(t, destination.Payload{Cart: &destination.Cart{}, Search: &destination.Search{}, Optin: &destination.Optin{}}, p)
}

func TestParsePayloadAndSchemaAgree(t *testing.T) {
	t.Parallel()
	schema := compile(t)
	for name, payload := range accepted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, schema.Validate(instance(t, payload)))
			p, err := destination.ParsePayload("order_paid", []byte(payload))
			require.Nil(t, err)
			require.Empty(t, p.Omitted)
		})
	}
	for name, test := range merged(omitted, put) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, schema.Validate(instance(t, test.payload)))
		})
	}
}

// TestSchemaNamesEveryMember lets each member that ParsePayload reads be a wrong type in turn: both
// must take it for wrong.
func TestSchemaNamesEveryMember(t *testing.T) {
	t.Parallel()
	schema := compile(t)
	var everything map[string]any
	require.NoError(t, json.Unmarshal([]byte(whole), &everything))
	for _, object := range []string{"customer", "order", "cart", "optin", "client"} {
		for name := range everything[object].(map[string]any) {
			payload := `{"` + object + `": {"` + name + `": [[{}]]}}`
			p, err := destination.ParsePayload("order_paid", []byte(payload))
			require.Nil(t, err)
			require.Equal(t, p.Omitted == nil, schema.Validate(instance(t, payload)) == nil, "%s.%s", object, name)
		}
	}
}

func merged[V any](maps ...map[string]V) map[string]V {
	all := map[string]V{}
	for _, m := range maps {
		for name, value := range m {
			all[name] = value
		}
	}
	return all
}

// requireRecommended checks that what adapters are given is in the recommended form, whatever it was read from.
func requireRecommended(t *testing.T, p destination.Payload) {
	if c := p.Customer; c != nil {
		require.Regexp(t, `^$|^[^@\s]+@[^@\s]+\.[^@.\s]+$`, c.Email)
		require.Regexp(t, `^$|^\+[1-9][0-9]{1,14}$`, c.Phone)
		require.Regexp(t, `^$|^\d{4}-\d\d-\d\d$`, c.Birthday)
		if c.Address != nil {
			require.Regexp(t, `^$|^[A-Z]{2}$`, c.Address.Country)
		}
	}
	if o := p.Order; o != nil {
		require.Regexp(t, `^$|^[A-Z]{3}$`, o.Currency)
		require.Regexp(t, `^$|^-?\d{1,12}(?:\.\d{1,4})?$`, string(o.Total))
		for _, item := range o.Items {
			require.Regexp(t, `^$|^\d{1,9}(?:\.\d+)?$`, string(item.Quantity))
			require.Regexp(t, `^$|^-?\d{1,12}(?:\.\d{1,4})?$`, string(item.UnitPrice))
		}
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	file, err := os.ReadFile("../docs/event.schema.json")
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(file))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("event.schema.json", document))
	schema, err := compiler.Compile("event.schema.json")
	require.NoError(t, err)
	return schema
}

func instance(t *testing.T, payload string) any {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(payload))
	require.NoError(t, err)
	return value
}

func TestParsePayloadBounds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ event, payload, reason string }{
		"TooLarge":    {"search", `{"custom": "` + strings.Repeat("x", 5<<20) + `"}`, "payload: must not be larger than 256 KiB"},
		"TooDeep":     {"search", strings.Repeat("[", 20000), "payload: must not be nested deeper than 100 levels"},
		"List":        {"search", `["MARKER"]`, "payload: must be an object"},
		"Text":        {"search", `"MARKER"`, "payload: must be an object"},
		"NotJSON":     {"search", `{"custom": `, "payload: must be JSON"},
		"UnknownName": {"MARKER", `{}`, "name: is not the name of an event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := destination.ParsePayload(test.event, []byte(test.payload))
			require.Equal(t, &destination.Error{Kind: destination.Rejected, Reason: test.reason}, err)
		})
	}
	t.Run("BracketsInText", func(t *testing.T) {
		t.Parallel()
		_, err := destination.ParsePayload("custom:x", []byte(`{"custom": "\"`+strings.Repeat("[", 1000)+`\\"}`))
		require.Nil(t, err)
	})
}

func TestPathText(t *testing.T) {
	t.Parallel()
	payload := []byte(`{"custom": {"group": "B2C", "n": 12.50, "yes": true, "no": false, "list": ["a", "b"], "nothing": null, "a*": "star", "ab": "ab"}}`)
	for path, want := range map[string]string{
		"custom.group": "B2C", "custom.n": "12.50", "custom.yes": "1", "custom.no": "0", "custom.list.1": "b",
		"custom.nothing": "", "custom.list": "", "custom.missing": "", "custom": "", "custom.a*": "star", "custom.#": "", "@this": "",
	} {
		require.Equal(t, want, destination.NewPath(path).Text(payload), path)
	}
}

func FuzzParsePayload(f *testing.F) {
	for _, payload := range accepted {
		f.Add([]byte(payload))
	}
	for _, test := range merged(omitted, put) {
		f.Add([]byte(test.payload))
	}
	f.Add([]byte(`{"order":{"items":[{"quantity":1e9}]},"customer":{"email":"\ud800@a.b"}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := destination.ParsePayload("order_paid", payload)
		if err != nil {
			require.Equal(t, destination.Rejected, err.Kind)
			require.Regexp(t, `^[a-z_.\[\]0-9]+: [a-zA-Z0-9 ,.:"+()-]+$`, err.Reason)
			return
		}
		if p.Omitted != nil {
			require.Regexp(t, `^(?:(?:^|; )without [a-z0-9_.]+(?:\[[0-9]+\])?[a-z0-9_.]*: [a-zA-Z0-9 ,.@'-]+)+$`, p.Omitted.Note())
		}
		requireRecommended(t, p)
		if len(p.Custom) > 0 {
			require.True(t, json.Valid(p.Custom))
		}
	})
}

// BenchmarkParsePayload reads an event of 3.3 kB with 66 members, of the sizes that shops write; and the
// same with 20 members more that kvit does not know.
func BenchmarkParsePayload(b *testing.B) {
	var known bytes.Buffer
	require.NoError(b, json.Compact(&known, []byte(long.Replace(whole))))
	unknown := `,"padding":{`
	for i := range 20 {
		unknown += `"member_` + string(rune('a'+i)) + `":"` + strings.Repeat("text ", 16) + `",`
	}
	for name, raw := range map[string][]byte{
		"Known":   known.Bytes(),
		"Unknown": slices.Concat(known.Bytes()[:known.Len()-1], []byte(strings.TrimSuffix(unknown, ",")+"}}")),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := destination.ParsePayload("order_paid", raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// long gives the texts of a browser the length that they have.
var long = strings.NewReplacer(
	"Example/1.0", "Example/1.0 ("+strings.Repeat("platform; ", 17)+")",
	"https://shop.example.com/", "https://shop.example.com/"+strings.Repeat("category/", 90),
	"https://example.com/", "https://example.com/?"+strings.Repeat("campaign=spring&", 35),
	`"fb.2"`, `"fb.1.1700000000000.`+strings.Repeat("AbCdEfGh", 25)+`"`,
	`"ttclid": "t"`, `"ttclid": "`+strings.Repeat("E.C.P", 60)+`"`,
)
