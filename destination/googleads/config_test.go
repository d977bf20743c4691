package googleads_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination/destinationtest/standin"
	"kvit/destination/googleads"
)

const configLines = "destinations:\n  ads:\n    kind: google_ads\n    customer_id: \"1234567890\"\n    conversion_action: \"987654321\"\n" // up to line 5

var environment = configtest.Environment{
	"SECRET": "GOCSPX-example", "REFRESH": "1//example", "ACCOUNT": standin.ServiceAccountKey("https://oauth2.googleapis.com/token"), "LINES": "a\nb",
}

const oauthLines = "    oauth: {client_id: kvit.apps.googleusercontent.com, client_secret: \"${SECRET}\", refresh_token: \"${REFRESH}\"}\n"

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, googleads.Kind, configLines+oauthLines, environment)
	read := d.Settings.(googleads.Options)
	require.Equal(t, googleads.Options{
		CustomerID: "1234567890", ConversionAction: "987654321", UserData: true, AdUserData: "marketing", AdPersonalization: "marketing",
		OAuth: googleads.OAuth{
			ClientID: "kvit.apps.googleusercontent.com", ClientSecret: read.OAuth.ClientSecret, RefreshToken: read.OAuth.RefreshToken,
			TokenURL: "https://oauth2.googleapis.com/token",
		},
		BaseURL: "https://datamanager.googleapis.com/v1",
	}, read)
	require.Equal(t, "GOCSPX-example 1//example", read.OAuth.ClientSecret.Reveal()+" "+read.OAuth.RefreshToken.Reveal())
	require.Equal(t, "marketing", d.Consent)
	require.InDelta(t, 4, d.Rate, 0) // below the 300 a minute that Google allows
}

func TestConfigServiceAccount(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, googleads.Kind, configLines+"    service_account: ${ACCOUNT}\n    login_customer_id: \"1111111111\"\n"+
		"    merchant_id: \"77\"\n    merchant_feed_label: DK\n    merchant_feed_language: da\n    user_data: false\n    ad_personalization: none\n", environment)
	read := d.Settings.(googleads.Options)
	require.Equal(t, environment["ACCOUNT"], read.ServiceAccount.Reveal())
	_, err := googleads.New(read)
	require.NoError(t, err)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty": {"destinations:\n  ads: {kind: google_ads}\n", []string{
			"2: destinations.ads.customer_id: is missing", "2: destinations.ads.conversion_action: is missing",
			"2: destinations.ads.service_account: is missing, and so is oauth: one of them is required",
		}},
		"Hyphens":    {strings.Replace(configLines, "1234567890", "123-456-7890", 1) + oauthLines, []string{"4: destinations.ads.customer_id: is not the number of a Google Ads account (10 digits without hyphens, in quotes)"}},
		"Tag":        {strings.Replace(configLines, "987654321", "AW-987654321", 1) + oauthLines, []string{"5: destinations.ads.conversion_action: is not the id of a conversion action (digits, in quotes)"}},
		"Both":       {configLines + oauthLines + "    service_account: ${ACCOUNT}\n", []string{"6: destinations.ads.oauth: excludes service_account"}},
		"NoAccount":  {configLines + "    service_account: ${LINES}\n", []string{"6: destinations.ads.service_account: is not the JSON key of a service account"}},
		"InFile":     {configLines + strings.Replace(oauthLines, "${REFRESH}", "1//example", 1), []string{"6: destinations.ads.oauth.refresh_token: " + configtest.NotInFile}},
		"HalfOAuth":  {configLines + "    oauth: {client_id: x}\n", []string{"6: destinations.ads.oauth.client_secret: is missing", "6: destinations.ads.oauth.refresh_token: is missing"}},
		"Language":   {configLines + oauthLines + "    merchant_feed_language: da-DK\n", []string{"7: destinations.ads.merchant_feed_language: is not a language of ISO 639-1 (two small letters)"}},
		"Unknown":    {configLines + oauthLines + "    developer_token: x\n", []string{"7: destinations.ads.developer_token: is not a known key"}},
		"InnerTypos": {configLines + strings.Replace(oauthLines, "client_id", "client_ids", 1), []string{"6: destinations.ads.oauth.client_id: is missing", `6: destinations.ads.oauth.client_ids: is not a known key: did you mean "client_id"?`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, googleads.Kind, test.text, environment))
		})
	}
}
