package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const spreadLines = "destinations:\n  sp:\n    kind: spread\n    public_key: ${PUBLIC}\n    private_key: ${PRIVATE}\n" // up to line 5

func TestSpread(t *testing.T) {
	t.Parallel()
	d := parse(t, spreadLines).Destinations[0]
	require.Equal(t, "marketing", d.Consent)
	require.Equal(t, 5, d.Concurrency)
	require.Equal(t, &Spread{
		PublicKey: NewSecret("public-marker"), PrivateKey: NewSecret("private-marker"),
		ValidateOn: "paid", Identity: "email",
		Grants:      Grants{"LegalBasisOrder", "LegalBasisOptin", "NewsEmail", "NewsSMS"},
		CartTrigger: "abandoned_cart", TimeZone: "Europe/Paris", BaseURL: "https://social-sb.com",
		URLs: SpreadURLs{
			CreateAccount: "https://social-sb.com/api/CreateAccount",
			UpdateAccount: "https://social-sb.com/api/UpdateAccount",
			CreateOrder:   "https://social-sb.com/api/CreateOrder",
			UpdateOrder:   "https://social-sb.com/api/UpdateOrder",
			Automations:   "https://social-sb.com/api/v3/automations",
		},
	}, d.Settings)
}

func TestSpreadSet(t *testing.T) {
	t.Parallel()
	spread := parse(t, spreadLines+`    validate_on: registered
    identity: external_id
    grants: {order: none, account: Own.Basis, email_optin: none, sms_optin: none}
    tags: [a, b]
    order_tags: [c]
    custom_fields: {327: custom.customer_group, "12": customer.address.city}
    cart_trigger: none
    time_zone: ${ZONE}
    base_url: http://localhost:8081/
    urls: {update_order: "https://other.example.com/UpdateOrder"}
`).Destinations[0].Settings.(*Spread)
	require.Equal(t, "registered", spread.ValidateOn)
	require.Equal(t, "external_id", spread.Identity)
	require.Equal(t, Grants{Account: "Own.Basis"}, spread.Grants)
	require.Equal(t, []string{"a", "b"}, spread.Tags)
	require.Equal(t, []string{"c"}, spread.OrderTags)
	require.Equal(t, map[string]string{"327": "custom.customer_group", "12": "customer.address.city"}, spread.CustomFields)
	require.Empty(t, spread.CartTrigger)
	require.Equal(t, "Asia/Tokyo", spread.TimeZone)
	require.Equal(t, "http://localhost:8081/api/CreateAccount", spread.URLs.CreateAccount)
	require.Equal(t, "https://other.example.com/UpdateOrder", spread.URLs.UpdateOrder)
}

func TestSpreadMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty":        {"destinations:\n  sp: {kind: spread}\n", []string{"2: destinations.sp.public_key: is missing", "2: destinations.sp.private_key: is missing"}},
		"KeyLiteral":   {strings.Replace(spreadLines, "${PRIVATE}", "private-marker", 1), []string{"5: destinations.sp.private_key: " + notInFile}},
		"KeyLines":     {strings.Replace(spreadLines, "${PRIVATE}", "${TWO_LINES}", 1), []string{"5: destinations.sp.private_key: contains a line break or another control character"}},
		"KeyColon":     {strings.Replace(spreadLines, "${PUBLIC}", "${COLON}", 1), []string{"4: destinations.sp.public_key: contains a colon, as if it held both keys"}},
		"ValidateOn":   {spreadLines + "    validate_on: shipped\n", []string{"6: destinations.sp.validate_on: must be paid or registered"}},
		"Identity":     {spreadLines + "    identity: both\n", []string{"6: destinations.sp.identity: must be email or external_id"}},
		"Grant":        {spreadLines + "    grants:\n      order: Legal Basis\n", []string{"7: destinations.sp.grants.order: " + badName}},
		"GrantUnknown": {spreadLines + "    grants:\n      orders: none\n", []string{`7: destinations.sp.grants.orders: is not a known key: did you mean "order"?`}},
		"Tags":         {spreadLines + "    tags: [ok, 5]\n", []string{"6: destinations.sp.tags[1]: " + mustBeText}},
		"TagLong":      {spreadLines + "    order_tags: [" + strings.Repeat("x", 251) + "]\n", []string{"6: destinations.sp.order_tags[0]: is longer than 250 characters"}},
		"FieldID":      {spreadLines + "    custom_fields:\n      group: custom.group\n", []string{"7: destinations.sp.custom_fields.group: is not the number of a field at SPREAD"}},
		"FieldPath":    {spreadLines + "    custom_fields:\n      7: group\n", []string{"7: destinations.sp.custom_fields.7: is not a path into the payload, as in custom.customer_group"}},
		"FieldObject":  {spreadLines + "    custom_fields:\n      7: customs.group\n", []string{"7: destinations.sp.custom_fields.7: must begin with customer, order, cart, optin, client or custom"}},
		"Cart":         {spreadLines + "    cart_trigger: a/b\n", []string{"6: destinations.sp.cart_trigger: " + badName}},
		"Zone":         {spreadLines + "    time_zone: Local\n", []string{"6: destinations.sp.time_zone: is not a known time zone, as in Europe/Copenhagen or UTC"}},
		"Base":         {spreadLines + "    base_url: http://social-sb.example.com\n", []string{"6: destinations.sp.base_url: must be https (http only for this machine itself)"}},
		"Query":        {spreadLines + "    urls:\n      create_order: https://social-sb.example.com/?a=b\n", []string{"7: destinations.sp.urls.create_order: must not contain a query (?)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, line := range mistakes(t, test.text, withDatabase) {
				got = append(got, strings.TrimPrefix(line, "kvit.yaml:"))
			}
			require.ElementsMatch(t, test.wants, got)
		})
	}
}
