package destination_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// TestLower: what JavaScript's toLowerCase and Python's lower make of these, found with both.
func TestLower(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":             "",
		" Jane ":       "jane",
		"ΓΙΏΡΓΟΣ":      "γιώργος",
		"ΟΔΥΣΣΕΑΣ ΠΑΣ": "οδυσσεας πας",
		"Σ":            "σ",
		"İbrahim":      "i\u0307brahim",
		"IŞIK":         "işik",
		"GROẞ":         "groß",
		"ÆØÅ":          "æøå",
		"ŁUKASZ":       "łukasz",
		"ДМИТРИЙ":      "дмитрий",
		"ÇAĞLA":        "çağla",
		"E\u0301VA":    "éva", // composed, as whoever types it has it
		"ＪＡＮＥ":         "ｊａｎｅ",
		"日本":           "日本",
		"مريم":         "مريم",
	} {
		require.Equal(t, want, destination.Lower(text), text)
	}
}

func TestWithoutAccents(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"jane": "jane", "josé": "jose", "jose\u0301": "jose", "müller": "muller", "søren": "søren", "çağla": "cagla", "groß": "groß", "żółć": "zołc",
	} {
		require.Equal(t, want, destination.WithoutAccents(text), text)
	}
}

func TestPostalCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"D-10115": "10115", "DK-8000": "8000", "dk-8000": "8000", "SE-111 22": "111 22", "S - 111 22": "111 22", "FIN-00100": "00100", "LV-1010": "1010",
		"DK–8000": "8000", " 8000 ": "8000", "00-950": "00-950", "1000-001": "1000-001", "94035-1234": "94035-1234", "SW1A 1AA": "SW1A 1AA",
		"E1 6AN": "E1 6AN", "KY1-1001": "KY1-1001", "AD500": "AD500", "K1A 0B1": "K1A 0B1", "": "",
	} {
		require.Equal(t, want, destination.PostalCode(&destination.Address{PostalCode: code}), code)
	}
	require.Equal(t, "VLT-1117", destination.PostalCode(&destination.Address{PostalCode: "VLT-1117", Country: "MT"}))
}
