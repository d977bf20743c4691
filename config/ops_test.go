package config

import (
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
