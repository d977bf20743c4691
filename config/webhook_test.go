package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	webhookStart = "destinations:\n  hook:\n    kind: webhook\n    deduplicates: true\n"
	webhookLines = webhookStart + "    url: https://hooks.example.com/x\n    secret: ${HOOK}\n" // up to line 6
)

func TestWebhook(t *testing.T) {
	t.Parallel()
	d := parse(t, webhookLines).Destinations[0]
	require.Equal(t, "marketing", d.Consent)
	require.Equal(t, 16, d.Concurrency)
	require.Equal(t, &Webhook{URL: "https://hooks.example.com/x", Secret: NewSecret(signingKey), Deduplicates: true}, d.Settings)

	d = parse(t, webhookStart+"    url: http://127.0.0.1:9999/in\n    secret: ${HOOK}\n    previous_secret: ${HOOK_OLD}\n    allow_private: true\n").Destinations[0]
	require.Equal(t, &Webhook{URL: "http://127.0.0.1:9999/in", Secret: NewSecret(signingKey),
		PreviousSecret: NewSecret(otherKey), Deduplicates: true, AllowPrivate: true}, d.Settings)
}

func TestWebhookMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty": {"destinations:\n  crm: {kind: webhook}\n", []string{
			"2: destinations.crm.secret: is missing", "2: destinations.crm.url: is missing",
			"2: destinations.crm.deduplicates: " + deduplicatesProblem}},
		"DeduplicatesFalse": {strings.Replace(webhookLines, "deduplicates: true", "deduplicates: false", 1), []string{"4: destinations.hook.deduplicates: " + deduplicatesProblem}},
		"DeduplicatesText":  {strings.Replace(webhookLines, "deduplicates: true", "deduplicates: 'yes'", 1), []string{"4: destinations.hook.deduplicates: must be true or false"}},
		"URL":               {webhookStart + "    secret: ${HOOK}\n    url: hooks.example.com\n", []string{"6: destinations.hook.url: is not an absolute https URL"}},
		"URLPlain":          {webhookStart + "    secret: ${HOOK}\n    url: http://127.0.0.1/\n", []string{"6: destinations.hook.url: must be https (http only with allow_private: true)"}},
		"URLFile":           {webhookStart + "    secret: ${HOOK}\n    allow_private: true\n    url: file:///etc/hosts\n", []string{"7: destinations.hook.url: is not an absolute https URL"}},
		"URLPassword":       {webhookStart + "    secret: ${HOOK}\n    url: https://a:b@hooks.example.com/\n", []string{"6: destinations.hook.url: must not contain a user name or password"}},
		"URLFragment":       {webhookStart + "    secret: ${HOOK}\n    url: https://hooks.example.com/#x\n", []string{"6: destinations.hook.url: must not contain a fragment (#)"}},
		"Secret":            {strings.Replace(webhookLines, "${HOOK}", "${PUBLIC}", 1), []string{"6: destinations.hook.secret: is not whsec_ followed by the base64 of 24 to 64 bytes"}},
		"SecretLiteral":     {strings.Replace(webhookLines, "${HOOK}", signingKey, 1), []string{"6: destinations.hook.secret: " + notInFile}},
		"SecretNumber":      {strings.Replace(webhookLines, "${HOOK}", "12345", 1), []string{"6: destinations.hook.secret: " + notInFile}},
		"SecretPartly":      {strings.Replace(webhookLines, "${HOOK}", "whsec_${HOOK}", 1), []string{"6: destinations.hook.secret: " + notInFile}},
		"SecretUnset":       {strings.Replace(webhookLines, "${HOOK}", "${UNSET}", 1), []string{"6: destinations.hook.secret: the environment variable UNSET is not set"}},
		"SecretTwice":       {webhookLines + "    previous_secret: ${HOOK}\n", []string{"7: destinations.hook.previous_secret: is the same as secret"}},
		"KeyOfAnotherKind":  {webhookLines + "    public_key: ${PUBLIC}\n", []string{"7: destinations.hook.public_key: is not a known key"}},
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
