package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// People log in with a browser at a provider of another site, that nobody of kvit's has written, and come back.
func TestLoginWithABrowser(t *testing.T) {
	if os.Getenv("KVIT_BROWSER") == "" {
		t.Skip("no browser here; make test-pages brings one")
	}
	const clientSecret = "a secret: of a test & no more"
	k := install(t, storetest.URL(t), "")
	kvit := "http://" + k.address
	issuer := startProvider(t, kvit, clientSecret)
	k.write(`
database: {url: "${DATABASE_URL}"}
ops:
  listen: "%ADDRESS%"
  public_url: ` + kvit + `
  oidc:
    issuer: ` + issuer + `
    client_id: kvit
    client_secret: ${OIDC_CLIENT_SECRET}
    scopes: [profile, email, groups]
    roles: {kvit-operators: operate, kvit-readers: read}
    email_domains: [shop.example]
`)
	k.env = []string{"OIDC_CLIENT_SECRET=" + clientSecret}
	k.mustCall("migrate", "up")
	k.start()
	k.waitReady()
	drive := exec.CommandContext(t.Context(), "node", "oidc.js", kvit, issuer, filepath.Join("..", "build", "pages"))
	drive.Dir, drive.Stdout, drive.Stderr = "../../browser", os.Stdout, os.Stderr
	require.NoError(t, drive.Run(), "what is wrong stands above")
	require.NotContains(t, k.log.String(), "shop.example", "addresses")
}

// startProvider returns the address of an OpenID provider that ends with the test.
func startProvider(t *testing.T, kvit, clientSecret string) string {
	t.Helper()
	provider := exec.CommandContext(t.Context(), "node", "provider.js", kvit)
	provider.Dir, provider.Stderr = "../../browser", os.Stderr
	provider.Env = append(os.Environ(), "OIDC_CLIENT_SECRET="+clientSecret)
	in, err := provider.StdinPipe()
	require.NoError(t, err)
	out, err := provider.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, provider.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = provider.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if address := lines.Text(); strings.HasPrefix(address, "http://localhost:") {
			return address
		}
	}
	require.Fail(t, "the provider ended without telling where it is")
	return ""
}
