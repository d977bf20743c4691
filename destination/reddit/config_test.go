package reddit_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination/reddit"
)

const configLines = "destinations:\n  reddit:\n    kind: reddit\n    pixel_id: a2_example\n    token: ${REDDIT}\n" // up to line 5

var environment = configtest.Environment{"REDDIT": "example", "LINES": "a\nb"}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, reddit.Kind, configLines, environment)
	require.Equal(t, reddit.Options{
		PixelID: "a2_example", Token: d.Settings.(reddit.Options).Token, BaseURL: "https://ads-api.reddit.com/api/v3",
	}, d.Settings)
	require.Equal(t, "example", d.Settings.(reddit.Options).Token.Reveal())
	require.Equal(t, "marketing", d.Consent)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty":       {"destinations:\n  reddit: {kind: reddit}\n", []string{"2: destinations.reddit.pixel_id: is missing", "2: destinations.reddit.token: is missing"}},
		"Pixel":       {strings.Replace(configLines, "a2_", "a/b", 1), []string{"4: destinations.reddit.pixel_id: is not the id of a pixel (letters, digits, _ and -, at most 64)"}},
		"TokenInFile": {strings.Replace(configLines, "${REDDIT}", "example", 1), []string{"5: destinations.reddit.token: " + configtest.NotInFile}},
		"TokenLines":  {strings.Replace(configLines, "REDDIT", "LINES", 1), []string{"5: destinations.reddit.token: contains a line break or another control character"}},
		"TestID":      {configLines + "    test_id: a b\n", []string{"6: destinations.reddit.test_id: is not an id for tests (letters, digits, _ and -, at most 64)"}},
		"BaseURL":     {configLines + "    base_url: http://ads-api.reddit.com\n", []string{"6: destinations.reddit.base_url: must be https (http only for this machine itself)"}},
		"Unknown":     {configLines + "    account_id: x\n", []string{"6: destinations.reddit.account_id: is not a known key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, reddit.Kind, test.text, environment))
		})
	}
}
