package main

import (
	"fmt"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination/webhook/webhooktest"
	"kvit/status"
	"kvit/store/storetest"
)

// What delivery would refuse when it dials, kvit check refuses, and kvit run does not start with.
func TestCheckRefusesInternalAddresses(t *testing.T) {
	t.Parallel()
	for name, destination := range map[string]string{
		"Loopback":  `{kind: webhook, url: "https://127.0.0.1/in", secret: "${CRM_SECRET}", deduplicates: true}`,
		"Name":      `{kind: webhook, url: "https://LOCALHOST./in", secret: "${CRM_SECRET}", deduplicates: true}`,
		"Metadata":  `{kind: webhook, url: "https://169.254.169.254/in", secret: "${CRM_SECRET}", deduplicates: true}`,
		"Mapped":    `{kind: webhook, url: "https://[::ffff:10.0.0.1]/in", secret: "${CRM_SECRET}", deduplicates: true}`,
		"Snowplow":  `{kind: snowplow, base_url: "https://192.168.1.4"}`,
		"Matomo":    `{kind: matomo, base_url: "https://[fd00::1]", site_id: 1, token_auth: "${CRM_SECRET}"}`,
		"Microsoft": `{kind: microsoft_uet, base_url: "https://10.0.0.1", tag_id: "1", token: "${CRM_SECRET}"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := install(t, "postgres://nobody@127.0.0.1:1/none", "database: {url: \"${DATABASE_URL}\"}\nops: {listen: \"off\"}\ndestinations:\n  inside: "+destination+"\n")
			code, stdout, _ := k.call("check", "--offline")
			require.Equal(t, 1, code)
			require.Regexp(t, `line 4: destinations\.inside.*(private|local)`, stdout)
			code, _, stderr := k.call("run")
			require.NotZero(t, code)
			require.Regexp(t, `inside.*(private|local)`, stderr)
		})
	}
}

// A kind without a call that counts nothing is at least connected to, and sent nothing.
func TestCheckConnects(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	trusted := serve(t, receiver)
	strange := httptest.NewTLSServer(receiver)
	t.Cleanup(strange.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	for address, says := range map[string]string{
		trusted:                            "not proved: destinations.crm: credentials",
		strange.URL:                        "problem: line 5: destinations.crm: the TLS certificate is not accepted",
		"http://" + closed.Addr().String(): "problem: line 5: destinations.crm: connection refused",
	} {
		k := install(t, storetest.URL(t), fmt.Sprintf(`
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
destinations:
  crm: {kind: webhook, url: %q, secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}
`, address))
		_, stdout, _ := k.call("check")
		require.Contains(t, stdout, says)
		_, stdout, _ = k.call("check", "--offline")
		require.NotContains(t, stdout, "destinations.crm", "offline connects to nothing")
	}
	require.Zero(t, receiver.Counts().Requests)
}

// kvit run would end with it, so kvit check says it before.
func TestCheckTriesToListen(t *testing.T) {
	t.Parallel()
	k := install(t, "postgres://nobody@127.0.0.1:1/none", "database: {url: \"${DATABASE_URL}\"}\nops: {listen: \"192.0.2.1:8080\"}\n")
	_, stdout, _ := k.call("check")
	require.Contains(t, stdout, "problem: ops.listen: this machine cannot listen there")
	code, _, stderr := k.call("run")
	require.NotZero(t, code)
	require.Contains(t, stderr, "ops.listen")
	_, stdout, _ = k.call("check", "--offline")
	require.NotContains(t, stdout, "ops.listen")
}

func TestApart(t *testing.T) {
	t.Parallel()
	require.Equal(t, "this machine's clock is 20s ahead of the database's", status.Apart(20*time.Second+time.Millisecond))
	require.Equal(t, "this machine's clock is 20s behind the database's", status.Apart(-20*time.Second))
}
