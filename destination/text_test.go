package destination_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

func TestJSONKeepsCharacters(t *testing.T) {
	t.Parallel()
	require.Equal(t, `{"a":"<&>ø"}`, string(destination.JSON(map[string]string{"a": "<&>ø"})))
}

func TestJoin(t *testing.T) {
	t.Parallel()
	items := []destination.Encoded{{Body: []byte("1")}, {Body: []byte("2")}}
	require.Equal(t, "[1,2]", string(destination.Join("[", items, "]")))
	require.Equal(t, "[1]", string(destination.Join("[", items[:1], "]")))
}

func TestCut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "abc": "abc", "abcd": "abc", "øøø": "øøø", "øøøø": "øøø"} {
		require.Equal(t, want, destination.Cut(text, 3), text)
	}
}

func TestIsVisibleASCII(t *testing.T) {
	t.Parallel()
	require.True(t, destination.IsVisibleASCII("pina_AEA~!"))
	for _, text := range []string{"", "a b", "a\n", "ø", "\x7f"} {
		require.False(t, destination.IsVisibleASCII(text), text)
	}
}

func TestPageAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "",
		"https://shop.example.com/a?b=1&c=2#d": "https://shop.example.com/a?b=1&c=2",
		"https://shop.example.com/?mail=a@example.com&b=1":     "https://shop.example.com/?b=1",
		"https://shop.example.com/?m=a%40example.com":          "https://shop.example.com/",
		"https://shop.example.com/?m=a%2540example.com":        "https://shop.example.com/",
		"https://shop.example.com/@brand?b=1":                  "https://shop.example.com/?b=1",
		"https://shop.example.com/off/a%40example.com/now?b=1": "https://shop.example.com/off/?b=1",
		"https://a@shop.example.com/":                          "",
		"a@example.com":                                        "",
		"/cart":                                                "/cart",
	} {
		got := destination.PageAddress(text)
		require.Equal(t, want, got, text)
		require.False(t, strings.Contains(got, "@"))
	}
}

func TestWebAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://shop.example.com/a?b=1#c": "https://shop.example.com/a?b=1", "http://shop.example.com/": "http://shop.example.com/",
		"javascript:alert(1)": "", "/cart": "", "": "", "https://jane@example.com/": "",
	} {
		require.Equal(t, want, destination.WebAddress(text), text)
	}
}
