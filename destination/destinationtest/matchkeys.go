package destinationtest

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed matchkeys.txt
var matchKeys string

// MatchKey is what a provider is told of a person by one member.
type MatchKey struct {
	Provider string // such as meta; ads is google_ads, and uet microsoft_uet
	Key      string // the provider's name of it
	Member   string // such as "customer.first_name"
	Value    string // the shop's, as JSON
	Normal   string // the text that is sent, or whose SHA-256 is; empty: the key is left out
}

var matchKeyLine = regexp.MustCompile(`^(\w+) (\w+) ([a-z_.]+) ("(?:[^"\\]|\\.)*"|[0-9]+) (-|".*")$`)

// MatchKeys are those of a provider.
func MatchKeys(t testing.TB, provider string) []MatchKey {
	t.Helper()
	var list []MatchKey
	for line := range strings.Lines(matchKeys) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		parts := matchKeyLine.FindStringSubmatch(line)
		require.NotNil(t, parts, line)
		key := MatchKey{Provider: parts[1], Key: parts[2], Member: parts[3], Value: parts[4]}
		if parts[5] != "-" {
			require.NoError(t, json.Unmarshal([]byte(parts[5]), &key.Normal), line)
		}
		if key.Provider == provider {
			list = append(list, key)
		}
	}
	require.NotEmpty(t, list)
	return list
}
