package pages

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/stretchr/testify/require"

	"kvit/web/access"
)

// provider is an OpenID provider that can be made to err. It holds clients to PKCE and takes a code once.
type provider struct {
	oidctest.Server
	url string
	key *rsa.PrivateKey

	mu     sync.Mutex
	asked  url.Values                 // of the last login
	codes  map[string]url.Values      // the request of each
	change func(map[string]any)       // of the claims
	sign   func(claims string) string // nil: rightly
	tokens int                        // how many were asked for
}

var providerKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{key: providerKey(), codes: map[string]url.Values{}}
	p.PublicKeys = []oidctest.PublicKey{{PublicKey: p.key.Public(), KeyID: "k", Algorithm: oidc.RS256}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL
	p.SetIssuer(p.url)
	return p
}

// ServeHTTP answers at the token endpoint, beside what the library's server answers.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/token" {
		p.Server.ServeHTTP(w, r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens++
	request, known := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	id, secret, _ := r.BasicAuth()
	if !known || id != "kvit" || secret != "s3cret" || r.FormValue("redirect_uri") != request.Get("redirect_uri") ||
		request.Get("code_challenge_method") != "S256" || base64.RawURLEncoding.EncodeToString(sum[:]) != request.Get("code_challenge") {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error": "invalid_grant", "error_description": "Qmarker"}`))
		return
	}
	answer := map[string]any{"access_token": "a", "token_type": "Bearer"}
	if token := p.token(request.Get("nonce")); token != "" {
		answer["id_token"] = token
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (p *provider) token(nonce string) string {
	claims := map[string]any{
		"iss": p.url, "aud": "kvit", "sub": "4711", "exp": time.Now().Add(time.Minute).Unix(), "nonce": nonce,
		"preferred_username": "anna", "email": "anna@Shop.example", "email_verified": true, "groups": []string{"staff", "kvit-operators"},
	}
	if p.change != nil {
		p.change(claims)
	}
	text, _ := json.Marshal(claims)
	if p.sign != nil {
		return p.sign(string(text))
	}
	return oidctest.SignIDToken(p.key, "k", oidc.RS256, string(text))
}

// agree is what happens at the provider: it returns the address to which the browser is sent back.
func (p *provider) agree(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	require.Equal(t, p.url+"/auth", u.Scheme+"://"+u.Host+u.Path)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = u.Query()
	code := rand.Text()
	p.codes[code] = p.asked
	return access.OIDCCallback + "?" + url.Values{"code": {code}, "state": {p.asked.Get("state")}}.Encode()
}

func (p *provider) config() *access.OIDC {
	return &access.OIDC{
		Issuer: p.url, ClientID: "kvit", ClientSecret: "s3cret", PublicURL: "https://kvit.example", Scopes: []string{"profile", "email", "groups"},
		RolesClaim: "groups", Roles: map[string]access.Role{"kvit-operators": access.Operate, "kvit-readers": access.Read}, NameClaim: "preferred_username",
	}
}

// guarded gives a site a login by OIDC, beside that by passwords.
func guarded(t *testing.T, config *access.OIDC) func(*Options) {
	return func(o *Options) {
		guard, err := access.New(access.Options{DB: o.Pool, KeepAudit: time.Hour, Logger: o.Logger, OIDC: config, Users: []access.Account{
			{User: access.User{Name: "operator", Role: access.Operate}, PasswordHash: hashed},
		}})
		require.NoError(t, err)
		o.Guard = guard
	}
}

// begun returns the address at the provider that a login leads to.
func begun(t *testing.T, client *http.Client, server *httptest.Server) string {
	t.Helper()
	status, body, header := get(t, client, server, "/login/oidc?to=/audit")
	require.Equal(t, http.StatusSeeOther, status, body)
	return header.Get("Location")
}

func loggedInBy(t *testing.T, p *provider, server *httptest.Server) *http.Client {
	t.Helper()
	client := visitor(t)
	status, body, header := get(t, client, server, p.agree(t, begun(t, client, server)))
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "0; url=/audit", header.Get("Refresh"), "a redirect would come without the session: it is strict")
	return client
}

func cookies(t *testing.T, client *http.Client, server *httptest.Server) map[string]string {
	t.Helper()
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	found := map[string]string{}
	for _, c := range client.Jar.Cookies(address) {
		found[c.Name] = c.Value
	}
	return found
}

// Who logs in by OIDC has the role that his groups give, a name in the audit that no user of the configuration can have, and a
// session that ends with the logout.
func TestLoginByOIDC(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	site, server := testSite(t, guarded(t, p.config()))
	_, body, _ := get(t, visitor(t), server, "/login")
	require.Contains(t, body, `<a class="button" href="/login/oidc?to=%2F">Log in with 127.0.0.1`)
	require.Contains(t, body, `name="password"`, "passwords go on beside it")
	require.NotContains(t, body, "did not answer")

	client := loggedInBy(t, p, server)
	require.Equal(t, "https://kvit.example/login/oidc/callback", p.asked.Get("redirect_uri"))
	require.Equal(t, "openid profile email groups", p.asked.Get("scope"))
	status, body, _ := get(t, client, server, "/audit")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "oidc:anna (operate)")
	require.NotContains(t, cookies(t, client, server), "kvit-login", "it is of no use any more")
	var detail string
	require.NoError(t, site.Pool.QueryRow(t.Context(), `select detail ->> 'sub' from kvit.audit where who = 'oidc:anna' and action = 'login'`).Scan(&detail))
	require.Equal(t, "4711", detail)

	copied := visitor(t)
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	copied.Jar.SetCookies(address, client.Jar.Cookies(address))
	status, _, header := post(t, client, server, "/logout", nil)
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/login", header.Get("Location"), "it ends here, and not at the provider")
	status, _, _ = get(t, copied, server, "/audit")
	require.Equal(t, http.StatusSeeOther, status)
}

// A token that somebody has planted in the browser before the login is worth nothing after it.
func TestLoginByOIDCMakesANewSession(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	_, server := testSite(t, guarded(t, p.config()))
	client := loggedIn(t, server, "operator")
	planted, err := cookiejar.New(nil)
	require.NoError(t, err)
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	planted.SetCookies(address, client.Jar.Cookies(address))
	before := cookies(t, client, server)["kvit"]

	status, _, _ := get(t, client, server, p.agree(t, begun(t, client, server)))
	require.Equal(t, http.StatusOK, status)
	require.NotEqual(t, before, cookies(t, client, server)["kvit"])
	_, body, _ := get(t, client, server, "/audit")
	require.Contains(t, body, "oidc:anna (operate)")
	thief := visitor(t)
	thief.Jar = planted
	status, _, _ = get(t, thief, server, "/audit")
	require.Equal(t, http.StatusSeeOther, status)
}

// Whatever is wrong with what comes back, nobody is logged in, and a sentence says that.
func TestMistakesInOIDC(t *testing.T) {
	t.Parallel()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	claim := func(name string, value any) func(*provider) {
		return func(p *provider) { p.change = func(c map[string]any) { c[name] = value } }
	}
	sign := func(token func(claims string) string) func(*provider) { return func(p *provider) { p.sign = token } }
	const unproved = "does not prove who you are"
	const elsewhere = "did not begin in this browser"
	for name, test := range map[string]struct {
		wrong    func(*provider)
		back     func(address string) string // changes what the browser brings
		sentence string
	}{
		"Nonce":         {wrong: claim("nonce", "another"), sentence: unproved},
		"NoNonce":       {wrong: claim("nonce", nil), sentence: unproved},
		"Audience":      {wrong: claim("aud", "shop"), sentence: unproved},
		"ManyAudiences": {wrong: claim("aud", []string{"kvit", "shop"}), sentence: unproved},
		"OtherClient":   {wrong: claim("azp", "shop"), sentence: unproved},
		"Issuer":        {wrong: claim("iss", "https://elsewhere.example"), sentence: unproved},
		"Expired":       {wrong: claim("exp", time.Now().Add(-time.Minute).Unix()), sentence: unproved},
		"Nobody":        {wrong: claim("sub", ""), sentence: unproved},
		"AccessToken":   {wrong: claim("at_hash", "another"), sentence: unproved},
		"Signature":     {wrong: sign(func(c string) string { return oidctest.SignIDToken(other, "k", oidc.RS256, c) }), sentence: unproved},
		"SecretAsKey": {wrong: sign(func(c string) string {
			return oidctest.SignIDToken([]byte(strings.Repeat("s3cret", 6)), "k", "HS256", c)
		}), sentence: unproved},
		"Unsigned": {wrong: sign(func(c string) string {
			encode := base64.RawURLEncoding.EncodeToString
			return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(c)) + "."
		}), sentence: unproved},
		"NoToken":        {wrong: sign(func(string) string { return "" }), sentence: unproved},
		"NoRole":         {wrong: claim("groups", []string{"staff"}), sentence: "You have no role here."},
		"NoClaim":        {wrong: claim("groups", nil), sentence: "You have no role here."},
		"RoleOfAnObject": {wrong: claim("groups", map[string]any{"kvit-operators": true}), sentence: "You have no role here."},
		"Domain":         {wrong: claim("email", "anna@shop.example.net"), sentence: "Your mail address is of no domain"},
		"NotVerified":    {wrong: claim("email_verified", false), sentence: "Your mail address is of no domain"},
		"NoAddress":      {wrong: claim("email", nil), sentence: "Your mail address is of no domain"},
		"State":          {back: func(a string) string { return a + "x" }, sentence: elsewhere},
		"NoState":        {back: func(a string) string { a, _, _ = strings.Cut(a, "&state"); return a }, sentence: elsewhere},
		"Code":           {back: func(a string) string { return strings.Replace(a, "code=", "code=x", 1) }, sentence: unproved},
		"NoCode":         {back: func(a string) string { return strings.Replace(a, "code=", "cod=", 1) }, sentence: unproved},
		"MixedUp":        {back: func(a string) string { return a + "&iss=https%3A%2F%2Felsewhere.example" }, sentence: unproved},
		"Denied":         {back: func(a string) string { return a + "&error=access_denied" }, sentence: "has not let you in"},
		"Refused":        {back: func(a string) string { return a + "&error=Qmarker" }, sentence: "The provider of the login has refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			config := p.config()
			config.EmailDomains = []string{"shop.example"}
			site, server := testSite(t, guarded(t, config))
			client := visitor(t)
			back := p.agree(t, begun(t, client, server))
			if test.wrong != nil {
				test.wrong(p)
			}
			if test.back != nil {
				back = test.back(back)
			}
			status, body, _ := get(t, client, server, back)
			require.Equal(t, http.StatusForbidden, status)
			require.Contains(t, body, test.sentence)
			require.NotContains(t, body, "Qmarker")
			status, _, _ = get(t, client, server, "/audit")
			require.Equal(t, http.StatusSeeOther, status)
			var logins int
			require.NoError(t, site.Pool.QueryRow(t.Context(), `select count(*) from kvit.audit where action = 'login'`).Scan(&logins))
			require.Zero(t, logins)
		})
	}
}

// Without a mistake the same way leads in.
func TestMailDomainOfOIDC(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	config := p.config()
	config.EmailDomains = []string{"shop.example"}
	_, server := testSite(t, guarded(t, config))
	client := loggedInBy(t, p, server)
	status, _, _ := get(t, client, server, "/audit")
	require.Equal(t, http.StatusOK, status)
}

// An address by which somebody has logged in leads in nobody else, nor the same browser again; the provider is not even asked.
func TestOIDCIsTakenOnce(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	site, server := testSite(t, guarded(t, p.config()))
	client := visitor(t)
	back := p.agree(t, begun(t, client, server))
	pending := cookies(t, client, server)["kvit-login"]
	require.NotEmpty(t, pending)
	status, body, _ := get(t, visitor(t), server, back)
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, "did not begin in this browser")
	require.Zero(t, p.tokens)

	status, _, _ = get(t, client, server, back)
	require.Equal(t, http.StatusOK, status)
	again := visitor(t)
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	again.Jar.SetCookies(address, []*http.Cookie{{Name: "kvit-login", Value: pending}})
	status, body, _ = get(t, again, server, back)
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, "was used before")
	require.Equal(t, 1, p.tokens)

	late := visitor(t)
	back = p.agree(t, begun(t, late, server))
	_, err = site.Pool.Exec(t.Context(), `update kvit.session set expires_at = now() where token_hash like 'login:%'`)
	require.NoError(t, err)
	status, _, _ = get(t, late, server, back)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, 1, p.tokens)
}

// What is under way is no session, however its token is shown.
func TestPendingLoginIsNoSession(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	_, server := testSite(t, guarded(t, p.config()))
	client := visitor(t)
	begun(t, client, server)
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	client.Jar.SetCookies(address, []*http.Cookie{{Name: "kvit", Value: cookies(t, client, server)["kvit-login"]}})
	status, _, _ := get(t, client, server, "/audit")
	require.Equal(t, http.StatusSeeOther, status)
}

// What a group gives is of the configuration now; where the provider changes, sessions end.
func TestOIDCSessionFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	site, server := testSite(t, guarded(t, p.config()))
	client := loggedInBy(t, p, server)
	session := cookies(t, client, server)["kvit"]
	for name, test := range map[string]struct {
		change func(*access.OIDC) *access.OIDC
		status int
		shown  string
	}{
		"Same": {func(o *access.OIDC) *access.OIDC { return o }, http.StatusOK, "oidc:anna (operate)"},
		"LesserRole": {func(o *access.OIDC) *access.OIDC {
			o.Roles = map[string]access.Role{"kvit-operators": access.Read}
			return o
		}, http.StatusOK, "oidc:anna (read)"},
		"NoRole":      {func(o *access.OIDC) *access.OIDC { o.Roles = map[string]access.Role{"others": access.Read}; return o }, http.StatusSeeOther, ""},
		"OtherIssuer": {func(o *access.OIDC) *access.OIDC { o.Issuer += "/other"; return o }, http.StatusSeeOther, ""},
		"OtherDomain": {func(o *access.OIDC) *access.OIDC { o.EmailDomains = []string{"else.example"}; return o }, http.StatusSeeOther, ""},
		"None":        {func(*access.OIDC) *access.OIDC { return nil }, http.StatusSeeOther, ""},
	} {
		o := site.Options
		guarded(t, test.change(p.config()))(&o)
		next, err := New(o)
		require.NoError(t, err, name)
		restarted := httptest.NewServer(next.Handler())
		t.Cleanup(restarted.Close)
		client := visitor(t)
		address, err := url.Parse(restarted.URL)
		require.NoError(t, err)
		client.Jar.SetCookies(address, []*http.Cookie{{Name: "kvit", Value: session}})
		status, body, _ := get(t, client, restarted, "/audit")
		require.Equal(t, test.status, status, name)
		require.Contains(t, body, test.shown, name)
	}
}

// A provider that is away keeps nothing from starting; the page says so, and whoever clicks has it asked again.
func TestProviderIsAway(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	away := true
	var mu sync.Mutex
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		p.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	p.url = front.URL
	p.SetIssuer(front.URL)
	site, server := testSite(t, guarded(t, p.config()))
	require.NoError(t, site.Start(t.Context()))
	require.Eventually(t, func() bool {
		_, since := site.Guard.Issuer()
		return !since.IsZero()
	}, 5*time.Second, time.Millisecond)
	client := visitor(t)
	_, body, _ := get(t, client, server, "/login")
	require.Contains(t, body, "did not answer at ")
	status, body, _ := get(t, client, server, "/login/oidc")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "did not answer at ")
	loggedIn(t, server, "operator") // passwords need no provider

	mu.Lock()
	away = false
	mu.Unlock()
	require.Eventually(t, func() bool {
		status, _, _ := get(t, client, server, "/login/oidc")
		return status == http.StatusSeeOther
	}, 5*time.Second, 200*time.Millisecond, "not more often than once a second")
	_, body, _ = get(t, client, server, "/login")
	require.NotContains(t, body, "did not answer")
}

// Logins by OIDC are throttled as those by passwords: each makes kvit keep something.
func TestOIDCIsThrottled(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	_, server := testSite(t, guarded(t, p.config()))
	var status int
	for range 11 {
		status, _, _ = get(t, visitor(t), server, "/login/oidc")
	}
	require.Equal(t, http.StatusTooManyRequests, status)
}

// A provider that calls itself otherwise than the configuration does is another one.
func TestProviderOfAnotherName(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.SetIssuer("https://elsewhere.example")
	_, server := testSite(t, guarded(t, p.config()))
	status, _, _ := get(t, visitor(t), server, "/login/oidc")
	require.Equal(t, http.StatusServiceUnavailable, status)
}
