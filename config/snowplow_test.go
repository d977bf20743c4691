package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const snowplowLines = "destinations:\n  sn:\n    kind: snowplow\n    base_url: https://collector.example.com/\n"

func TestSnowplow(t *testing.T) {
	t.Parallel()
	d := parse(t, snowplowLines).Destinations[0]
	require.Equal(t, "analytics", d.Consent)
	require.Equal(t, &Snowplow{BaseURL: "https://collector.example.com", AppID: "webshop", Namespace: "kvit"}, d.Settings)

	d = parse(t, snowplowLines+"    app_id: shop-dk\n    namespace: server\n    send_ip: true\n    events: {search: off, cart_updated: add_to_cart}\n").Destinations[0]
	require.Equal(t, &Snowplow{BaseURL: "https://collector.example.com", AppID: "shop-dk", Namespace: "server", SendIP: true}, d.Settings)
	require.Equal(t, map[string]string{"search": "", "cart_updated": "add_to_cart"}, d.EventNames)
}

func TestSnowplowMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"NoBase":    {"destinations:\n  sn: {kind: snowplow}\n", "2: destinations.sn.base_url: is missing"},
		"Plain":     {strings.Replace(snowplowLines, "https", "http", 1), "4: destinations.sn.base_url: must be https (http only for this machine itself)"},
		"AppID":     {snowplowLines + "    app_id: the shop\n", "5: destinations.sn.app_id: " + badName},
		"Namespace": {snowplowLines + "    namespace: a/b\n", "5: destinations.sn.namespace: " + badName},
		"SendIP":    {snowplowLines + "    send_ip: 1\n", "5: destinations.sn.send_ip: must be true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []string{"kvit.yaml:" + test.want}, mistakes(t, test.text, withDatabase))
		})
	}
}
