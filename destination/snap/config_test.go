package snap_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination/snap"
)

const configLines = "destinations:\n  snap:\n    kind: snap\n    pixel_id: 1ec32188-754e-4be2-8e55-c949a984a39f\n    access_token: ${SNAP}\n" // up to line 5

var environment = configtest.Environment{"SNAP": "example", "LINES": "a\nb"}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, snap.Kind, configLines, environment)
	require.Equal(t, snap.Options{
		PixelID: "1ec32188-754e-4be2-8e55-c949a984a39f", AccessToken: d.Settings.(snap.Options).AccessToken, BaseURL: "https://tr.snapchat.com/v3",
	}, d.Settings)
	require.Equal(t, "example", d.Settings.(snap.Options).AccessToken.Reveal())
	require.Equal(t, "marketing", d.Consent)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty":       {"destinations:\n  snap: {kind: snap}\n", []string{"2: destinations.snap.pixel_id: is missing", "2: destinations.snap.access_token: is missing"}},
		"Pixel":       {strings.Replace(configLines, "1ec32188-", "a/b", 1), []string{"4: destinations.snap.pixel_id: is not the id of a pixel (letters, digits and -, at most 64)"}},
		"TokenInFile": {strings.Replace(configLines, "${SNAP}", "example", 1), []string{"5: destinations.snap.access_token: " + configtest.NotInFile}},
		"TokenLines":  {strings.Replace(configLines, "SNAP", "LINES", 1), []string{"5: destinations.snap.access_token: contains a line break or another control character"}},
		"PageURL":     {configLines + "    page_url: shop.example.com\n", []string{"6: destinations.snap.page_url: is not an absolute https URL"}},
		"BaseURL":     {configLines + "    base_url: http://tr.snapchat.com\n", []string{"6: destinations.snap.base_url: must be https (http only for this machine itself)"}},
		"Unknown":     {configLines + "    app_id: x\n", []string{"6: destinations.snap.app_id: is not a known key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, snap.Kind, test.text, environment))
		})
	}
}
