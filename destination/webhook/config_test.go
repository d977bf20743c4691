package webhook_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/destination"
	"kvit/destination/webhook"
)

const (
	configStart = "destinations:\n  hook:\n    kind: webhook\n    deduplicates: true\n"
	configLines = configStart + "    url: https://hooks.example.com/x\n    secret: ${HOOK}\n" // up to line 6
)

const deduplicatesProblem = "must be stated as true: kvit delivers at least once, so a receiver that does not drop " +
	"repeats of a webhook-id would count an event twice; write \"deduplicates: true\" once the receiver does"

var environment = configtest.Environment{"HOOK": secret, "HOOK_OLD": previous, "PUBLIC": "public-marker"}

func TestConfig(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, webhook.Kind, configLines, environment)
	require.Equal(t, "marketing", d.Consent)
	require.Equal(t, 16, d.Concurrency)
	require.Equal(t, webhook.Options{URL: "https://hooks.example.com/x", Secret: config.NewSecret(secret)}, d.Settings)

	d = configtest.Destination(t, webhook.Kind, configStart+"    url: http://127.0.0.1:9999/in\n    secret: ${HOOK}\n    previous_secret: ${HOOK_OLD}\n    allow_private: true\n", environment)
	require.Equal(t, webhook.Options{URL: "http://127.0.0.1:9999/in", Secret: config.NewSecret(secret),
		PreviousSecret: config.NewSecret(previous),
		HTTP:           destination.ClientOptions{AllowPrivate: true}}, d.Settings)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty": {"destinations:\n  crm: {kind: webhook}\n", []string{
			"2: destinations.crm.secret: is missing", "2: destinations.crm.url: is missing",
			"2: destinations.crm.deduplicates: " + deduplicatesProblem}},
		"DeduplicatesFalse": {strings.Replace(configLines, "deduplicates: true", "deduplicates: false", 1), []string{"4: destinations.hook.deduplicates: " + deduplicatesProblem}},
		"DeduplicatesText":  {strings.Replace(configLines, "deduplicates: true", "deduplicates: 'yes'", 1), []string{"4: destinations.hook.deduplicates: must be true or false"}},
		"URL":               {configStart + "    secret: ${HOOK}\n    url: hooks.example.com\n", []string{"6: destinations.hook.url: is not an absolute https URL"}},
		"URLPlain":          {configStart + "    secret: ${HOOK}\n    url: http://127.0.0.1/\n", []string{"6: destinations.hook.url: must be https (http only with allow_private: true)"}},
		"URLFile":           {configStart + "    secret: ${HOOK}\n    allow_private: true\n    url: file:///etc/hosts\n", []string{"7: destinations.hook.url: is not an absolute https URL"}},
		"URLPassword":       {configStart + "    secret: ${HOOK}\n    url: https://a:b@hooks.example.com/\n", []string{"6: destinations.hook.url: must not contain a user name or password"}},
		"URLFragment":       {configStart + "    secret: ${HOOK}\n    url: https://hooks.example.com/#x\n", []string{"6: destinations.hook.url: must not contain a fragment (#)"}},
		"Secret":            {strings.Replace(configLines, "${HOOK}", "${PUBLIC}", 1), []string{"6: destinations.hook.secret: is not whsec_ followed by the base64 of 24 to 64 bytes"}},
		"SecretLiteral":     {strings.Replace(configLines, "${HOOK}", secret, 1), []string{"6: destinations.hook.secret: " + configtest.NotInFile}},
		"SecretNumber":      {strings.Replace(configLines, "${HOOK}", "12345", 1), []string{"6: destinations.hook.secret: " + configtest.NotInFile}},
		"SecretPartly":      {strings.Replace(configLines, "${HOOK}", "whsec_${HOOK}", 1), []string{"6: destinations.hook.secret: " + configtest.NotInFile}},
		"SecretUnset":       {strings.Replace(configLines, "${HOOK}", "${UNSET}", 1), []string{"6: destinations.hook.secret: the environment variable UNSET is not set"}},
		"SecretTwice":       {configLines + "    previous_secret: ${HOOK}\n", []string{"7: destinations.hook.previous_secret: is the same as secret"}},
		"KeyOfAnotherKind":  {configLines + "    public_key: ${PUBLIC}\n", []string{"7: destinations.hook.public_key: is not a known key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, webhook.Kind, test.text, environment))
		})
	}
}
