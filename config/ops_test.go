package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// opsEnvironment has hashes of passwords, the second of a cost that is too low.
func opsEnvironment(name string) string {
	return map[string]string{
		"ANNA":  "$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"CHEAP": "$2a$04$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"PLAIN": "correct horse battery",
	}[name]
}

const (
	anna     = "  users: [{name: anna, password_hash: \"${ANNA}\", role: operate}]\n"
	database = "database: {url: \"postgres:///shop\"}\n"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(database+"ops:\n  users:\n    - {name: anna, password_hash: \"${ANNA}\", role: operate}\n    - {name: jon, password_hash: \"${ANNA}\"}\n"), opsEnvironment, nil)
	require.NoError(t, err)
	require.Len(t, cfg.Ops.Users, 2)
	require.True(t, cfg.Ops.Users[0].Operates)
	require.False(t, cfg.Ops.Users[1].Operates, "a role that is not named is the lesser one")
}

func TestMistakesInUsers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"Literal":   {"ops:\n  users: [{name: a, password_hash: \"$2a$12$x\"}]\n", "ops.users[0].password_hash: " + notInFile},
		"Plain":     {"ops:\n  users: [{name: a, password_hash: \"${PLAIN}\"}]\n", "is not the bcrypt hash of a password"},
		"Cheap":     {"ops:\n  users: [{name: a, password_hash: \"${CHEAP}\"}]\n", "has the cost 4"},
		"Role":      {"ops:\n  users: [{name: a, password_hash: \"${ANNA}\", role: admin}]\n", "ops.users[0].role"},
		"NameTwice": {"ops:\n  users:\n    - {name: a, password_hash: \"${ANNA}\"}\n    - {name: a, password_hash: \"${ANNA}\"}\n", "5: ops.users[1].name: is the name of the user in line 4, too"},
		"NoName":    {"ops:\n  users: [{password_hash: \"${ANNA}\"}]\n", "ops.users[0].name"},
		"Off":       {"ops:\n  listen: off\n" + anna, "ops.users: is of no use with listen: off"},
		"HalfTLS":   {"ops:\n  tls: {cert: /etc/tls.crt}\n", "ops.tls.key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("kvit.yaml", []byte(database+test.text), opsEnvironment, nil)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// A password is never asked for over a network that anybody may read.
func TestPagesNeedAPrivateWay(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"127.0.0.1:8080", "localhost:8080", "'[::1]:8080'"} {
		_, err := Parse("kvit.yaml", []byte(database+"ops:\n  listen: "+listen+"\n"+anna), opsEnvironment, nil)
		require.NoError(t, err, listen)
	}
	for _, listen := range []string{"0.0.0.0:8080", "':8080'", "10.0.0.7:8080", "shop.example:8080", "'[::]:8080'"} {
		text := database + "ops:\n  listen: " + listen + "\n" + anna
		_, err := Parse("kvit.yaml", []byte(text), opsEnvironment, nil)
		require.ErrorContains(t, err, "ops.users: would send their passwords over the network as they are", listen)
		_, err = Parse("kvit.yaml", []byte(text+"  behind_proxy: 1\n"), opsEnvironment, nil)
		require.NoError(t, err, listen)
		_, err = Parse("kvit.yaml", []byte(text+"  tls: {cert: /etc/tls.crt, key: /etc/tls.key}\n"), opsEnvironment, nil)
		require.NoError(t, err, listen)
		_, err = Parse("kvit.yaml", []byte(database+"ops:\n  listen: "+listen+"\n"), opsEnvironment, nil)
		require.NoError(t, err, "health and metrics hold no secret")
	}
}

const oidc = "  public_url: http://localhost:8080\n  oidc:\n    issuer: https://login.example/\n    client_id: kvit\n    client_secret: ${PLAIN}\n    roles: {/shop/ops: operate, Team 7: read}\n"

func TestOIDC(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(database+"ops:\n"+oidc), opsEnvironment, nil)
	require.NoError(t, err)
	require.True(t, cfg.Ops.Pages())
	require.Equal(t, &OIDC{
		Issuer: "https://login.example/", ClientID: "kvit", ClientSecret: cfg.Ops.OIDC.ClientSecret, Scopes: []string{"profile", "email"}, RolesClaim: "groups",
		Roles: map[string]string{"/shop/ops": "operate", "Team 7": "read"}, NameClaim: "preferred_username",
	}, cfg.Ops.OIDC)
	require.Equal(t, "http://localhost:8080", cfg.Ops.PublicURL)
}

func TestMistakesInOIDC(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ old, new, want string }{
		"NoAddress":   {"  public_url: http://localhost:8080\n", "", "ops.oidc: needs ops.public_url"},
		"Path":        {"localhost:8080", "localhost:8080/kvit", "ops.public_url: must not contain a path"},
		"PlainHTTP":   {"localhost:8080", "kvit.example", "ops.public_url: must be https"},
		"WithoutTLS":  {"http://localhost", "https://localhost", "ops.public_url: is https, while neither"},
		"BehindProxy": {"ops:\n", "ops:\n  behind_proxy: 1\n", "ops.public_url: must be https: ops.tls or ops.behind_proxy says"},
		"PlainIssuer": {"https://login", "http://login", "ops.oidc.issuer: must be https"},
		"Literal":     {"${PLAIN}", "secret", "ops.oidc.client_secret: " + notInFile},
		"NoRoles":     {"    roles: {/shop/ops: operate, Team 7: read}\n", "", "ops.oidc.roles: names no value of the claim: nobody could log in"},
		"Role":        {"operate", "admin", "must be read or operate"},
		"Domains":     {"    roles", "    email_domains: [Shop]\n    roles", "is not a domain in small letters"},
		"NoScope":     {"    roles", "    email_domains: [shop.example]\n    scopes: [profile]\n    roles", "ops.oidc.email_domains: needs the scope email"},
		"Public":      {"ops:\n", "ops:\n  listen: 0.0.0.0:8080\n", "ops.oidc: would send its sessions over the network as they are"},
		"Off":         {"ops:\n", "ops:\n  listen: off\n", "ops.oidc: is of no use with listen: off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace("ops:\n"+oidc, test.old, test.new, 1)
			require.NotEqual(t, "ops:\n"+oidc, text)
			_, err := Parse("kvit.yaml", []byte(database+text), opsEnvironment, nil)
			require.ErrorContains(t, err, test.want)
		})
	}
}
