package trustpilot_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination/trustpilot"
)

const configLines = `destinations:
  reviews:
    kind: trustpilot
    business_unit_id: 46d6a890ffa235a75b00021d
    business_user_id: 507f1f77bcf86cd799439011
    api_key: ${KEY}
    api_secret: ${SECRET}
    template_id: 507f191e810c19729de860ea
` // up to line 8

var environment = configtest.Environment{"KEY": "example-key", "SECRET": "example-secret", "LINES": "a\nb"}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, trustpilot.Kind, configLines, environment)
	read := d.Settings.(trustpilot.Options)
	require.Equal(t, trustpilot.Options{
		BusinessUnitID: "46d6a890ffa235a75b00021d", BusinessUserID: "507f1f77bcf86cd799439011", TemplateID: "507f191e810c19729de860ea",
		APIKey: read.APIKey, APISecret: read.APISecret, Delay: 7 * 24 * time.Hour, Locale: "en-US",
		TokenURL: "https://api.trustpilot.com/v1/oauth/oauth-business-users-for-applications/accesstoken",
		BaseURL:  "https://invitations-api.trustpilot.com/v1",
	}, read)
	require.Equal(t, "example-key example-secret", read.APIKey.Reveal()+" "+read.APISecret.Reveal())
	require.Equal(t, "marketing", d.Consent)
	require.InDelta(t, 2, d.Rate, 0) // below the 833 in 5 minutes that Trustpilot recommends
	_, err := trustpilot.New(read)
	require.NoError(t, err)
}

func TestConfigAll(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, trustpilot.Kind, configLines+`    products: true
    product_template_id: 612f191e810c19729de860ea
    delay: 14d
    locale: da-DK
    locales: {en: en-GB}
    redirect_uri: https://shop.example.com/thanks
    sender_name: The shop
    sender_email: shop@example.com
    reply_to: help@example.com
    tags: [web]
`, environment)
	read := d.Settings.(trustpilot.Options)
	require.Equal(t, 14*24*time.Hour, read.Delay)
	require.Equal(t, map[string]string{"en": "en-GB"}, read.Locales)
	require.Equal(t, []string{"web"}, read.Tags)
	require.True(t, read.Products)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty": {"destinations:\n  reviews: {kind: trustpilot}\n", []string{
			"2: destinations.reviews.business_unit_id: is missing", "2: destinations.reviews.business_user_id: is missing",
			"2: destinations.reviews.api_key: is missing", "2: destinations.reviews.api_secret: is missing", "2: destinations.reviews.template_id: is missing",
		}},
		"Domain":   {strings.Replace(configLines, "46d6a890ffa235a75b00021d", "shop.example.com", 1), []string{"4: destinations.reviews.business_unit_id: is not an id of Trustpilot (letters and digits, in quotes)"}},
		"KeyLines": {strings.Replace(configLines, "${KEY}", "${LINES}", 1), []string{"6: destinations.reviews.api_key: contains a line break or another control character"}},
		"InFile":   {strings.Replace(configLines, "${SECRET}", "secret", 1), []string{"7: destinations.reviews.api_secret: " + configtest.NotInFile}},
		"Delay":    {configLines + "    delay: 400d\n", []string{"9: destinations.reviews.delay: must be from 0s to 365d"}},
		"Locale":   {configLines + "    locale: da\n", []string{"9: destinations.reviews.locale: is not a locale, as in da-DK"}},
		"Locales":  {configLines + "    locales: {english: en-GB}\n", []string{"9: destinations.reviews.locales.english: is not a language of ISO 639-1 (two small letters)"}},
		"Mailbox":  {configLines + "    reply_to: help\n", []string{"9: destinations.reviews.reply_to: is not an e-mail address"}},
		"Unknown":  {configLines + "    password: x\n", []string{"9: destinations.reviews.password: is not a known key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, trustpilot.Kind, test.text, environment))
		})
	}
}
