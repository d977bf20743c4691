// Package configtest helps a kind of destination to test how its keys are read. It is for tests alone.
package configtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
)

// What the configuration says of values that any kind may have.
const (
	MustBeText       = "must be text (put numbers and true/false in quotes)"
	NotInFile        = "must be ${NAME} as a whole, or file:/path: a secret does not belong into this file"
	BadPurpose       = "is not a purpose (letters, digits and _.:- only, at most 63), nor none"
	BadTechnicalName = "is not a technical name (letters, digits and _.- only, at most 100)"
	MustBeHTTPS      = "must be https (http only for this machine itself)"
	ControlCharacter = "contains a line break or another control character"
)

// Environment are the variables that a file may name; DATABASE_URL is always set.
type Environment map[string]string

func (e Environment) get(name string) string {
	if name == "DATABASE_URL" {
		return "postgres://kvit@db.example.com/shop"
	}
	return e[name]
}

// Destination reads a kvit.yaml with nothing wrong in it, and one destination, of the kind.
func Destination(t *testing.T, kind config.Kind, text string, env Environment) config.Destination {
	t.Helper()
	cfg, err := config.Parse("kvit.yaml", []byte(text), env.get, []config.Kind{kind})
	require.NoError(t, err)
	require.Len(t, cfg.Destinations, 1)
	return cfg.Destinations[0]
}

// Mistakes reads a kvit.yaml with something wrong in it, and returns what is said of that: a mistake a line,
// each as in "5: destinations.crm.url: is missing".
func Mistakes(t *testing.T, kind config.Kind, text string, env Environment) []string {
	t.Helper()
	_, err := config.Parse("kvit.yaml", []byte(text), env.get, []config.Kind{kind})
	var problems *config.Errors
	require.ErrorAs(t, err, &problems)
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "kvit.yaml:")
	}
	return lines
}

// ERP reads a kvit.yaml with nothing wrong in it, and one ERP, of the kind.
func ERP(t *testing.T, kind config.Kind, text string, env Environment) config.ERP {
	t.Helper()
	cfg, err := config.Parse("kvit.yaml", []byte(text), env.get, []config.Kind{kind})
	require.NoError(t, err)
	require.Len(t, cfg.ERPs, 1)
	return cfg.ERPs[0]
}
