package snowplow_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination/snowplow"
)

const configLines = "destinations:\n  sn:\n    kind: snowplow\n    base_url: https://collector.example.com/\n"

func TestConfig(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, snowplow.Kind, configLines, nil)
	require.Equal(t, "analytics", d.Consent)
	require.Equal(t, snowplow.Options{BaseURL: "https://collector.example.com", AppID: "webshop", Namespace: "kvit"}, d.Settings)

	d = configtest.Destination(t, snowplow.Kind, configLines+"    app_id: shop-dk\n    namespace: server\n    send_ip: true\n    events: {search: off, cart_updated: add_to_cart}\n", nil)
	require.Equal(t, snowplow.Options{BaseURL: "https://collector.example.com", AppID: "shop-dk", Namespace: "server", SendIP: true}, d.Settings)
	require.Equal(t, map[string]string{"search": "", "cart_updated": "add_to_cart"}, d.EventNames)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"NoBase":    {"destinations:\n  sn: {kind: snowplow}\n", "2: destinations.sn.base_url: is missing"},
		"Plain":     {strings.Replace(configLines, "https", "http", 1), "4: destinations.sn.base_url: must be https (http only for this machine itself)"},
		"AppID":     {configLines + "    app_id: the shop\n", "5: destinations.sn.app_id: " + configtest.BadTechnicalName},
		"Namespace": {configLines + "    namespace: a/b\n", "5: destinations.sn.namespace: " + configtest.BadTechnicalName},
		"SendIP":    {configLines + "    send_ip: 1\n", "5: destinations.sn.send_ip: must be true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []string{test.want}, configtest.Mistakes(t, snowplow.Kind, test.text, nil))
		})
	}
}
