package erp_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"kvit/erp"
)

// What an order's reference is spelled as leads back to it, and to no other order's.
func FuzzMatcher(f *testing.F) {
	f.Add("WEB-", "10023", "1002", 35)
	f.Add("", "ab-1", "AB-1 ", 0)
	f.Add("web-", "ı", "i", 20)
	f.Add("W", "ß", "ss", 30)
	f.Fuzz(func(t *testing.T, prefix, ref, other string, length int) {
		if strings.TrimSpace(prefix) != prefix || strings.TrimSpace(ref) != ref || strings.TrimSpace(other) != other {
			return // neither the configuration nor the shop's references have blanks around them
		}
		if strings.ContainsFunc(prefix, func(r rune) bool { return r < '!' || r > '~' }) || !utf8.ValidString(ref) || !utf8.ValidString(other) {
			return // the configuration takes no other prefix, and Postgres no other text
		}
		m := erp.Matcher{Prefix: prefix, MaxLength: length}
		spelled, fits := m.Spell(ref)
		if !fits {
			return
		}
		folded, ok := m.Strip(spelled)
		require.True(t, ok)
		require.Equal(t, erp.Fold(ref), folded)
		if again, fits := m.Spell(other); fits && erp.Fold(other) != erp.Fold(ref) {
			stripped, _ := m.Strip(again)
			require.NotEqual(t, folded, stripped)
		}
	})
}

func TestFold(t *testing.T) {
	t.Parallel()
	for a, b := range map[string]string{"web-1": "WEB-1", "x\t": "X", "ø": "Ø", "é": "É"} {
		require.Equal(t, erp.Fold(b), erp.Fold(a))
	}
	for a, b := range map[string]string{"ı": "i", "ſ": "s", "\u212a": "k", "ß": "SS", "Ⅷ": "VIII"} { // U+212A, the Kelvin sign
		require.NotEqual(t, erp.Fold(b), erp.Fold(a), "%s and %s", a, b)
	}
}

func TestTrail(t *testing.T) {
	t.Parallel()
	const first = "https://erp.example.com:443/a/b?x=1"
	for link, want := range map[string]string{
		"https://erp.example.com/a/b?$skiptoken='1'": "https://erp.example.com/a/b?$skiptoken='1'",
		"/a/b?$skiptoken=2":                          "https://erp.example.com:443/a/b?$skiptoken=2",
		"b?$filter=a eq 'x'":                         "https://erp.example.com:443/a/b?$filter=a%20eq%20'x'",
		"https://ERP.example.com:443/n":              "https://ERP.example.com:443/n",
		"http://erp.example.com/a":                   "",
		"https://erp.example.com:8443/a":             "",
		"https://erp.example.com.evil.example/a":     "",
		"https://user@erp.example.com/a":             "",
		"//evil.example/a":                           "",
		first:                                        "",
		"\x00":                                       "",
	} {
		next, err := erp.NewTrail(first).Next(first, link)
		require.Equal(t, want == "", err != nil, link)
		require.Equal(t, want, next)
	}
	trail := erp.NewTrail(first)
	require.NoError(t, trail.Page("row 1"))
	require.NoError(t, trail.Page("row 2"))
	require.Equal(t, erp.Malformed, erp.KindOf(trail.Page("row 1")))
}
