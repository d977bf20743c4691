package ga4_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/ga4"
	"kvit/destination/ga4/ga4test"
)

const configLines = "destinations:\n  ga:\n    kind: ga4\n    measurement_id: G-ABC1234567\n    api_secret: ${PRIVATE}\n"

func TestConfig(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, ga4.Kind, configLines, environment)
	require.Equal(t, "analytics", d.Consent)
	require.Equal(t, 8, d.Concurrency)
	o := d.Settings.(ga4.Options)
	require.Equal(t, "private-marker", o.APISecret.Reveal())
	o.APISecret = config.Secret{}
	require.Equal(t, ga4.Options{MeasurementID: "G-ABC1234567", Region: "eu", AdPurpose: "marketing", WithoutClientID: "skip"}, o)

	d = configtest.Destination(t, ga4.Kind, configLines+`    region: global
    ad_purpose: ads
    user_data: true
    without_client_id: derive
    params: {customer_group: custom.customer_group}
    base_url: http://127.0.0.1:8080/
    events: {order_placed: purchase, order_paid: off}
`, environment)
	o = d.Settings.(ga4.Options)
	o.APISecret = config.Secret{}
	require.Equal(t, ga4.Options{
		MeasurementID: "G-ABC1234567", Region: "global", AdPurpose: "ads", UserData: true, WithoutClientID: "derive",
		Params: map[string]string{"customer_group": "custom.customer_group"}, BaseURL: "http://127.0.0.1:8080",
	}, o)
	require.Equal(t, map[string]string{"order_placed": "purchase", "order_paid": ""}, d.EventNames)
}

const serviceAccountKey = `{
  "type": "service_account",
  "client_email": "kvit@example-project.iam.gserviceaccount.com",
  "private_key": "key-marker",
  "token_uri": "https://oauth2.example.com/token"
}`

// environment has a service account, which has several lines, and some that are none.
var environment = configtest.Environment{
	"PRIVATE":             "private-marker",
	"ACCOUNT":             serviceAccountKey,
	"ACCOUNT_WITHOUT_KEY": strings.Replace(serviceAccountKey, "private_key", "other_key", 1),
	"USER_ACCOUNT":        strings.Replace(serviceAccountKey, "service_account", "authorized_user", 1),
}

func TestDeletionConfig(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "account.json")
	require.NoError(t, os.WriteFile(file, []byte(serviceAccountKey+"\n"), 0o600))
	for name, credentials := range map[string]string{"Variable": "${ACCOUNT}", "File": "file:" + file} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := configLines + "    deletion: {property_id: \"123456\", credentials: \"" + credentials + "\", base_url: http://127.0.0.1:8080/}\n"
			deletion := configtest.Destination(t, ga4.Kind, text, environment).Settings.(ga4.Options).Deletion
			require.Equal(t, serviceAccountKey, deletion.Credentials.Reveal())
			require.NotContains(t, fmt.Sprintf("%+v", deletion), "key-marker")
			deletion.Credentials = config.Secret{}
			require.Equal(t, ga4.Deletion{PropertyID: "123456", BaseURL: "http://127.0.0.1:8080"}, deletion)
		})
	}
}

func TestDeletionConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty": {"{}", []string{"6: destinations.ga.deletion.property_id: is missing", "6: destinations.ga.deletion.credentials: is missing"}},
		"Stream": {"{property_id: G-ABC1234567, credentials: \"${ACCOUNT}\"}",
			[]string{"6: destinations.ga.deletion.property_id: is not the id of a property, which is a number (in quotes)"}},
		"Number": {"{property_id: 123456, credentials: \"${ACCOUNT}\"}",
			[]string{"6: destinations.ga.deletion.property_id: must be text (put numbers and true/false in quotes)"}},
		"Token":   {"{property_id: \"1\", credentials: \"${PRIVATE}\"}", []string{"6: destinations.ga.deletion.credentials: is not the JSON key of a service account"}},
		"NoKey":   {"{property_id: \"1\", credentials: \"${ACCOUNT_WITHOUT_KEY}\"}", []string{"6: destinations.ga.deletion.credentials: is not the JSON key of a service account"}},
		"User":    {"{property_id: \"1\", credentials: \"${USER_ACCOUNT}\"}", []string{"6: destinations.ga.deletion.credentials: is not the JSON key of a service account"}},
		"Literal": {"{property_id: \"1\", credentials: ya29.example}", []string{"6: destinations.ga.deletion.credentials: " + configtest.NotInFile}},
		"Unset":   {"{property_id: \"1\", credentials: \"${NONE}\"}", []string{"6: destinations.ga.deletion.credentials: the environment variable NONE is not set"}},
		"Known":   {"{property_id: \"1\", credentials: \"${ACCOUNT}\", token: a}", []string{"6: destinations.ga.deletion.token: is not a known key"}},
		"List":    {"[a]", []string{"6: destinations.ga.deletion: must be a mapping of keys to values"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, ga4.Kind, configLines+"    deletion: "+test.text+"\n", environment))
		})
	}
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 11 {
		fmt.Fprintf(&many, "      p%d: custom.a\n", i)
	}
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty":     {"destinations:\n  ga: {kind: ga4}\n", []string{"2: destinations.ga.measurement_id: is missing", "2: destinations.ga.api_secret: is missing"}},
		"Stream":    {strings.Replace(configLines, "G-ABC1234567", "'1234567'", 1), []string{"4: destinations.ga.measurement_id: is not the measurement id of a web data stream, as in G-ABC1234567"}},
		"Literal":   {strings.Replace(configLines, "${PRIVATE}", "private-marker", 1), []string{"5: destinations.ga.api_secret: " + configtest.NotInFile}},
		"Region":    {configLines + "    region: us\n", []string{"6: destinations.ga.region: must be eu or global"}},
		"Purpose":   {configLines + "    ad_purpose: a b\n", []string{"6: destinations.ga.ad_purpose: is not a purpose (letters, digits and _.:- only, at most 63), nor none"}},
		"UserData":  {configLines + "    user_data: 'yes'\n", []string{"6: destinations.ga.user_data: must be true or false"}},
		"ClientID":  {configLines + "    without_client_id: guess\n", []string{"6: destinations.ga.without_client_id: must be skip or derive"}},
		"ParamName": {configLines + "    params:\n      a-b: custom.a\n", []string{"7: destinations.ga.params.a-b: is not the name of a parameter (letters, digits and _ only, at most 40, beginning with a letter)"}},
		"ParamPath": {configLines + "    params:\n      mail: customer.email\n", []string{"7: destinations.ga.params.mail: is not a path into custom, as in custom.customer_group"}},
		"Params":    {configLines + "    params:\n" + many.String(), []string{"6: destinations.ga.params: must be at most 10"}},
		"Base":      {configLines + "    base_url: http://ga.example.com\n", []string{"6: destinations.ga.base_url: must be https (http only for this machine itself)"}},
		"Query":     {configLines + "    base_url: https://ga.example.com/?a=b\n", []string{"6: destinations.ga.base_url: must not contain a query (?)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, ga4.Kind, test.text, environment))
		})
	}
}

// TestDeletionIsWired: from the configuration to Google's side.
func TestDeletionIsWired(t *testing.T) {
	t.Parallel()
	server := ga4test.NewDeletions("123456", nil)
	url := destinationtest.Serve(t, server)
	d := configtest.Destination(t, ga4.Kind,
		configLines+"    deletion: {property_id: \"123456\", credentials: \"${ACCOUNT}\", base_url: \""+url+"\"}\n",
		configtest.Environment{"PRIVATE": "example-secret", "ACCOUNT": ga4test.Credentials(url)})
	adapter, err := d.Settings.(destination.Settings).Make(destination.Common{})
	require.NoError(t, err)
	redactor, ok := destination.RedactorOf(adapter)
	require.True(t, ok)
	_, err = redactor.Redact(t.Context(), destinationtest.Redaction())
	require.NoError(t, err)
	require.Len(t, server.Deleted(), 3)
}
