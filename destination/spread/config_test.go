package spread_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/destination/spread"
)

const configLines = "destinations:\n  sp:\n    kind: spread\n    public_key: ${PUBLIC}\n    private_key: ${PRIVATE}\n" // up to line 5

var environment = configtest.Environment{
	"PUBLIC": "public-marker", "PRIVATE": "private-marker", "TWO_LINES": "line-marker\nline-marker", "COLON": "colon-marker:colon-marker", "ZONE": "Asia/Tokyo",
}

func TestConfig(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, spread.Kind, configLines, environment)
	require.Equal(t, "marketing", d.Consent)
	require.Equal(t, 5, d.Concurrency)
	require.Equal(t, spread.Options{
		PublicKey: config.NewSecret("public-marker"), PrivateKey: config.NewSecret("private-marker"),
		ValidateOn: "paid", Identity: "email",
		Grants:      spread.Grants{Order: "LegalBasisOrder", Account: "LegalBasisOptin", EmailOptin: "NewsEmail", SMSOptin: "NewsSMS"},
		CartTrigger: "abandoned_cart", TimeZone: "Europe/Paris", BaseURL: "https://social-sb.com",
		URLs: spread.URLs{
			CreateAccount: "https://social-sb.com/api/CreateAccount",
			UpdateAccount: "https://social-sb.com/api/UpdateAccount",
			CreateOrder:   "https://social-sb.com/api/CreateOrder",
			UpdateOrder:   "https://social-sb.com/api/UpdateOrder",
			Automations:   "https://social-sb.com/api/v3/automations",
		},
	}, d.Settings)
}

func TestConfigOfEveryKey(t *testing.T) {
	t.Parallel()
	o := configtest.Destination(t, spread.Kind, configLines+`    validate_on: registered
    identity: external_id
    grants: {order: none, account: Own.Basis, email_optin: none, sms_optin: none}
    tags: [a, b]
    order_tags: [c]
    custom_fields: {327: custom.customer_group, "12": customer.address.city}
    cart_trigger: none
    time_zone: ${ZONE}
    base_url: http://localhost:8081/
    urls: {update_order: "https://other.example.com/UpdateOrder"}
`, environment).Settings.(spread.Options)
	require.Equal(t, "registered", o.ValidateOn)
	require.Equal(t, "external_id", o.Identity)
	require.Equal(t, spread.Grants{Account: "Own.Basis"}, o.Grants)
	require.Equal(t, []string{"a", "b"}, o.Tags)
	require.Equal(t, []string{"c"}, o.OrderTags)
	require.Equal(t, map[string]string{"327": "custom.customer_group", "12": "customer.address.city"}, o.CustomFields)
	require.Empty(t, o.CartTrigger)
	require.Equal(t, "Asia/Tokyo", o.TimeZone)
	require.Equal(t, "http://localhost:8081/api/CreateAccount", o.URLs.CreateAccount)
	require.Equal(t, "https://other.example.com/UpdateOrder", o.URLs.UpdateOrder)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty":        {"destinations:\n  sp: {kind: spread}\n", []string{"2: destinations.sp.public_key: is missing", "2: destinations.sp.private_key: is missing"}},
		"KeyLiteral":   {strings.Replace(configLines, "${PRIVATE}", "private-marker", 1), []string{"5: destinations.sp.private_key: " + configtest.NotInFile}},
		"KeyLines":     {strings.Replace(configLines, "${PRIVATE}", "${TWO_LINES}", 1), []string{"5: destinations.sp.private_key: contains a line break or another control character"}},
		"KeyColon":     {strings.Replace(configLines, "${PUBLIC}", "${COLON}", 1), []string{"4: destinations.sp.public_key: contains a colon, as if it held both keys"}},
		"ValidateOn":   {configLines + "    validate_on: shipped\n", []string{"6: destinations.sp.validate_on: must be paid or registered"}},
		"Identity":     {configLines + "    identity: both\n", []string{"6: destinations.sp.identity: must be email or external_id"}},
		"Grant":        {configLines + "    grants:\n      order: Legal Basis\n", []string{"7: destinations.sp.grants.order: " + configtest.BadTechnicalName}},
		"GrantUnknown": {configLines + "    grants:\n      orders: none\n", []string{`7: destinations.sp.grants.orders: is not a known key: did you mean "order"?`}},
		"Tags":         {configLines + "    tags: [ok, 5]\n", []string{"6: destinations.sp.tags[1]: " + configtest.MustBeText}},
		"TagLong":      {configLines + "    order_tags: [" + strings.Repeat("x", 251) + "]\n", []string{"6: destinations.sp.order_tags[0]: is longer than 250 characters"}},
		"FieldID":      {configLines + "    custom_fields:\n      group: custom.group\n", []string{"7: destinations.sp.custom_fields.group: is not the number of a field at SPREAD"}},
		"FieldPath":    {configLines + "    custom_fields:\n      7: group\n", []string{"7: destinations.sp.custom_fields.7: is not a path into the payload, as in custom.customer_group"}},
		"FieldObject":  {configLines + "    custom_fields:\n      7: customs.group\n", []string{"7: destinations.sp.custom_fields.7: must begin with customer, order, cart, optin, client or custom"}},
		"Cart":         {configLines + "    cart_trigger: a/b\n", []string{"6: destinations.sp.cart_trigger: " + configtest.BadTechnicalName}},
		"Zone":         {configLines + "    time_zone: Local\n", []string{"6: destinations.sp.time_zone: is not a known time zone, as in Europe/Copenhagen or UTC"}},
		"Base":         {configLines + "    base_url: http://social-sb.example.com\n", []string{"6: destinations.sp.base_url: must be https (http only for this machine itself)"}},
		"Query":        {configLines + "    urls:\n      create_order: https://social-sb.example.com/?a=b\n", []string{"7: destinations.sp.urls.create_order: must not contain a query (?)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, spread.Kind, test.text, environment))
		})
	}
}
