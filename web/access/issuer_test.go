package access

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The client's secret goes to no address that is not as safe as the provider's own, and to none that a redirect names.
func TestAddressesOfAProvider(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		document string
		err      error
	}{
		"Good":       {`{"issuer": "SELF", "authorization_endpoint": "SELF/a", "token_endpoint": "SELF/t", "jwks_uri": "SELF/k"}`, nil},
		"PlainToken": {`{"issuer": "SELF", "authorization_endpoint": "SELF/a", "token_endpoint": "http://login.example/t", "jwks_uri": "SELF/k"}`, ErrIssuerAway},
		"PlainKeys":  {`{"issuer": "SELF", "authorization_endpoint": "SELF/a", "token_endpoint": "SELF/t", "jwks_uri": "http://login.example/k"}`, ErrIssuerAway},
		"NoToken":    {`{"issuer": "SELF", "authorization_endpoint": "SELF/a", "jwks_uri": "SELF/k"}`, ErrIssuerAway},
		"Redirect":   {"", ErrIssuerAway},
		"Endless":    {`{"issuer": "SELF", "x": "` + strings.Repeat("x", maxAnswer) + `"}`, ErrIssuerAway},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var server *httptest.Server
			server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.document == "" && !strings.HasSuffix(r.URL.Path, "/elsewhere") {
					http.Redirect(w, r, server.URL+"/elsewhere", http.StatusTemporaryRedirect)
					return
				}
				_, _ = io.WriteString(w, strings.ReplaceAll(test.document, "SELF", server.URL))
			}))
			t.Cleanup(server.Close)
			i := newIssuer(&OIDC{Issuer: server.URL}, slog.New(slog.DiscardHandler))
			i.http.Transport = boundedAnswers{server.Client().Transport}
			_, err := i.provider(t.Context())
			require.ErrorIs(t, err, test.err)
		})
	}
}

// A claim is found by its name, which may have dots, and by its path.
func TestClaims(t *testing.T) {
	t.Parallel()
	c := claims{
		"https://shop.example/roles": []any{"a", 7.0, "b"}, "realm_access": map[string]any{"roles": []any{"c"}}, "one": "d", "email_verified": "true",
	}
	require.Equal(t, []string{"a", "b"}, c.texts("https://shop.example/roles"))
	require.Equal(t, []string{"c"}, c.texts("realm_access.roles"))
	require.Equal(t, []string{"d"}, c.texts("one"))
	require.Empty(t, c.texts("one.more"))
	require.Empty(t, c.texts("none"))
	require.True(t, c.yes("email_verified"))
}

// A name that would look like another one, or like none, is not taken into the audit.
func TestNamesOfOIDC(t *testing.T) {
	t.Parallel()
	o := OIDC{NameClaim: "name"}
	for given, want := range map[string]string{
		"anna": "oidc:anna", "Anna Ström": "oidc:Anna Ström", "": "oidc:4711", " anna": "oidc:4711", "an\nna": "oidc:4711", "an\u200bna": "oidc:4711",
		strings.Repeat("a", 81): "oidc:4711",
	} {
		got, err := o.name(claims{"name": given, "sub": "4711"})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := o.name(claims{"name": 7, "sub": strings.Repeat("4", 300)})
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
}
