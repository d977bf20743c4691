package ga4

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
)

// TestNormalForms has the examples of Google's page on user_data.
func TestNormalForms(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"}, destination.HashedList(normalEmail("jane.doe@example.com")))
	require.Equal(t, []string{"d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"}, destination.HashedList(normalEmail(" Jane.Doe@gmail.com ")))
	require.Equal(t, []string{"7d5574e4ec1f7e9b606eadd8d76eab15510a93ca476ee1705145b32cd6ab6504"}, destination.HashedList(normalPhone("+45 12 34 56 78")))
	require.Equal(t, "janedoe@googlemail.com", normalEmail("jane.doe@GoogleMail.com"))
	require.Equal(t, "janedoe@gmail.com", normalEmail("jane.doe+spring@gmail.com"))
	require.Equal(t, "jane.doe+spring@example.com", normalEmail("Jane.Doe+spring@example.com"), "of Google's own domains alone")
	require.Equal(t, "γιώργος", normalName("ΓΙΏΡΓΟΣ"))
	require.Empty(t, destination.HashedList(normalEmail("")))
	require.Empty(t, destination.HashedList(normalPhone("")))
	require.Equal(t, "annamaria van dam", normalName(" Anna-Maria van Dam3! "))
	require.Equal(t, "åse", normalName("ÅSE."))
	require.Equal(t, "1 example street 2nd floor", normalStreet("1, Example Street (2nd floor)"))
}

func TestAddressNeedsBothNames(t *testing.T) {
	t.Parallel()
	home := &destination.Address{Lines: []string{"1 Example Street"}, City: " 8000 Aarhus C. ", Region: "Midtjylland (DK-82)", PostalCode: "DK-8000", Country: "DK"}
	for name, customer := range map[string]destination.Customer{
		"NoLast": {FirstName: "Jane", Address: home}, "OnlySigns": {FirstName: "Jane", LastName: "?", Address: home}, "NoAddress": {FirstName: "Jane", LastName: "Doe"},
	} {
		require.Nil(t, hashed(&customer), name)
	}
	u := hashed(&destination.Customer{FirstName: "Jane", LastName: "Doe", Address: home})
	require.Equal(t, []address{{
		FirstName: destination.SHA256Hex("jane"), LastName: destination.SHA256Hex("doe"),
		Street: destination.SHA256Hex("1 example street"), City: "aarhus c", Region: "midtjylland dk", PostalCode: "8000", Country: "DK",
	}}, u.Address)
}

func FuzzEncode(f *testing.F) {
	for _, name := range append(defaults.Events(), "custom:ø x") {
		f.Add(name, "E1", []byte(`{"customer": {"id": "7", "email": "jane.doe@example.com", "phone": "+4512345678", "first_name": "Zebedee", "last_name": "Quackenbush",
 "address": {"lines": ["1 Xylophone Street"], "city": "Aarhus", "country": "DK"}}, "client": {"ga_client_id": "1.2", "ga_session_id": "3", "page_url": "https://x.example.com/?m=jane.doe@example.com", "page_title": "\u2028<&>"},
 "order": {"currency": "DKK", "total": "-007.50", "items": [{"sku": "\u0000", "quantity": 0.500, "unit_price": "00.1"}]}, "cart": {"items": [{"name": "\ud800"}]},
 "product": {"sku": "s", "unit_price": "1"}, "search": {"term": "\"\\\u0007"}, "custom": {"a": [1], "b": 1e9}}`))
	}
	f.Add("order_paid", "", []byte(`null`))
	f.Add("custom:\xff", "\xff", []byte("{\"client\": {\"ga_client_id\": \"\xff\"}}"))
	g, err := New(Options{MeasurementID: "G-1", APISecret: config.NewSecret("s"), UserData: true, WithoutClientID: Derive, Params: map[string]string{"a": "custom.a", "b": "custom.b"}})
	require.NoError(f, err)
	destinationtest.FuzzEncode(f, func(t *testing.T, event destination.Event, e destination.Encoded) {
		require.LessOrEqual(t, len(e.Body)+1, maxBytes)
		whole := body([]destination.Encoded{e, e}, "")
		require.Less(t, len(body([]destination.Encoded{e}, "")), 130_000)
		var sent struct {
			ClientID string `json:"client_id"`
			Events   []struct {
				Name   string                     `json:"name"`
				Params map[string]json.RawMessage `json:"params"`
			} `json:"events"`
		}
		require.NoError(t, json.Unmarshal(whole, &sent))
		require.Len(t, sent.Events, 2)
		require.NotEmpty(t, sent.ClientID)
		require.Empty(t, nameProblem("", sent.Events[0].Name))
		require.LessOrEqual(t, len(sent.Events[0].Params), 25)
		noPersonalData(t, event, e)
	}, g)
}

// noPersonalData looks for the customer where only hashes may be. The texts of the shop, of which the
// title of a page is one, are not looked through: whatever else has the same letters is no leak.
func noPersonalData(t *testing.T, event destination.Event, e destination.Encoded) {
	customer := event.Payload.Customer
	if customer == nil || !strings.Contains(string(event.Raw), "Zebedee") {
		return
	}
	for _, text := range []string{customer.Email, customer.FirstName, customer.LastName, strings.TrimPrefix(customer.Phone, "+")} {
		if len(text) > 5 && utf8.ValidString(text) && strings.Count(string(event.Raw), text) == 1 {
			require.NotContains(t, e.Group, text)
			require.NotContains(t, string(e.Body), text)
		}
	}
}

func FuzzAccessToken(f *testing.F) {
	f.Add([]byte(`{"access_token": "ya29.example", "token_type": "Bearer", "expires_in": 3599}`))
	f.Add([]byte(`{"access_token": "two\nlines"}`))
	f.Add([]byte(`[{"access_token": 1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if token, ok := accessToken(destination.Answer{Body: body}); ok {
			require.Regexp(t, `^[!-~]+$`, token, "it becomes a header")
		}
	})
}
