package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const ga4Lines = "destinations:\n  ga:\n    kind: ga4\n    measurement_id: G-ABC1234567\n    api_secret: ${PRIVATE}\n"

func TestGA4(t *testing.T) {
	t.Parallel()
	d := parse(t, ga4Lines).Destinations[0]
	require.Equal(t, "analytics", d.Consent)
	c := d.Settings.(*GA4)
	require.Equal(t, "private-marker", c.APISecret.Reveal())
	c.APISecret = Secret{}
	require.Equal(t, &GA4{MeasurementID: "G-ABC1234567", Region: "eu", AdPurpose: "marketing", WithoutClientID: "skip"}, c)

	d = parse(t, ga4Lines+`    region: global
    ad_purpose: ads
    user_data: true
    without_client_id: derive
    params: {customer_group: custom.customer_group}
    base_url: http://127.0.0.1:8080/
    events: {order_placed: purchase, order_paid: off}
`).Destinations[0]
	c = d.Settings.(*GA4)
	c.APISecret = Secret{}
	require.Equal(t, &GA4{
		MeasurementID: "G-ABC1234567", Region: "global", AdPurpose: "ads", UserData: true, WithoutClientID: "derive",
		Params: map[string]string{"customer_group": "custom.customer_group"}, BaseURL: "http://127.0.0.1:8080",
	}, c)
	require.Equal(t, map[string]string{"order_placed": "purchase", "order_paid": ""}, d.EventNames)
}

const serviceAccountKey = `{
  "type": "service_account",
  "client_email": "kvit@example-project.iam.gserviceaccount.com",
  "private_key": "key-marker",
  "token_uri": "https://oauth2.example.com/token"
}`

// withServiceAccount is withDatabase with ${ACCOUNT} set, which has several lines, and some that are none.
func withServiceAccount(name string) string {
	switch name {
	case "ACCOUNT":
		return serviceAccountKey
	case "ACCOUNT_WITHOUT_KEY":
		return strings.Replace(serviceAccountKey, "private_key", "other_key", 1)
	case "USER_ACCOUNT":
		return strings.Replace(serviceAccountKey, "service_account", "authorized_user", 1)
	default:
		return withDatabase(name)
	}
}

func TestGA4Deletion(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "account.json")
	require.NoError(t, os.WriteFile(file, []byte(serviceAccountKey+"\n"), 0o600))
	for name, credentials := range map[string]string{"Variable": "${ACCOUNT}", "File": "file:" + file} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := "database: {url: \"${DATABASE_URL}\"}\n" + ga4Lines + "    deletion: {property_id: \"123456\", credentials: \"" + credentials + "\", base_url: http://127.0.0.1:8080/}\n"
			cfg, err := Parse("kvit.yaml", []byte(text), withServiceAccount, Kinds)
			require.NoError(t, err)
			deletion := cfg.Destinations[0].Settings.(*GA4).Deletion
			require.Equal(t, serviceAccountKey, deletion.Credentials.Reveal())
			require.NotContains(t, fmt.Sprintf("%+v", deletion), "key-marker")
			deletion.Credentials = Secret{}
			require.Equal(t, GA4Deletion{PropertyID: "123456", BaseURL: "http://127.0.0.1:8080"}, deletion)
		})
	}
}

func TestGA4DeletionMistakes(t *testing.T) {
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
		"Literal": {"{property_id: \"1\", credentials: ya29.example}", []string{"6: destinations.ga.deletion.credentials: " + notInFile}},
		"Unset":   {"{property_id: \"1\", credentials: \"${NONE}\"}", []string{"6: destinations.ga.deletion.credentials: the environment variable NONE is not set"}},
		"Known":   {"{property_id: \"1\", credentials: \"${ACCOUNT}\", token: a}", []string{"6: destinations.ga.deletion.token: is not a known key"}},
		"List":    {"[a]", []string{"6: destinations.ga.deletion: must be a mapping of keys to values"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, withoutFile(mistakes(t, ga4Lines+"    deletion: "+test.text+"\n", withServiceAccount)))
		})
	}
}

func TestGA4Mistakes(t *testing.T) {
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
		"Stream":    {strings.Replace(ga4Lines, "G-ABC1234567", "'1234567'", 1), []string{"4: destinations.ga.measurement_id: is not the measurement id of a web data stream, as in G-ABC1234567"}},
		"Literal":   {strings.Replace(ga4Lines, "${PRIVATE}", "private-marker", 1), []string{"5: destinations.ga.api_secret: " + notInFile}},
		"Region":    {ga4Lines + "    region: us\n", []string{"6: destinations.ga.region: must be eu or global"}},
		"Purpose":   {ga4Lines + "    ad_purpose: a b\n", []string{"6: destinations.ga.ad_purpose: is not a purpose (letters, digits and _.:- only, at most 63), nor none"}},
		"UserData":  {ga4Lines + "    user_data: 'yes'\n", []string{"6: destinations.ga.user_data: must be true or false"}},
		"ClientID":  {ga4Lines + "    without_client_id: guess\n", []string{"6: destinations.ga.without_client_id: must be skip or derive"}},
		"ParamName": {ga4Lines + "    params:\n      a-b: custom.a\n", []string{"7: destinations.ga.params.a-b: is not the name of a parameter (letters, digits and _ only, at most 40, beginning with a letter)"}},
		"ParamPath": {ga4Lines + "    params:\n      mail: customer.email\n", []string{"7: destinations.ga.params.mail: is not a path into custom, as in custom.customer_group"}},
		"Params":    {ga4Lines + "    params:\n" + many.String(), []string{"6: destinations.ga.params: must be at most 10"}},
		"Base":      {ga4Lines + "    base_url: http://ga.example.com\n", []string{"6: destinations.ga.base_url: must be https (http only for this machine itself)"}},
		"Query":     {ga4Lines + "    base_url: https://ga.example.com/?a=b\n", []string{"6: destinations.ga.base_url: must not contain a query (?)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, withoutFile(mistakes(t, test.text, withDatabase)))
		})
	}
}

// withoutFile cuts the file's name off each mistake.
func withoutFile(lines []string) []string {
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "kvit.yaml:")
	}
	return lines
}
