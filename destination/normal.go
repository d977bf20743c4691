package destination

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Lower is the text in small letters, without blanks around it and with composed accents, as JavaScript and
// Python make it of the whole text: ΓΙΏΡΓΟΣ is γιώργος, with the sigma that ends words. Letter by letter it would be
// another text, and another hash.
func Lower(text string) string {
	text = strings.TrimSpace(text)
	if isASCII(text) {
		return strings.ToLower(text)
	}
	return norm.NFC.String(cases.Lower(language.Und).String(norm.NFC.String(text)))
}

// WithoutAccents is the text without marks over and under its letters: José is Jose, and ø, which is a letter of its
// own, stays.
func WithoutAccents(text string) string {
	if isASCII(text) {
		return text
	}
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(text)))
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// countryBefore is what people write before a postal code to say in which country it is: D-10115, DK-8000.
var countryBefore = regexp.MustCompile(`^\s*[A-Za-z]{1,3}\s*[-–]\s*([0-9].*)$`)

// PostalCode is the code of an address without a country before it. Malta's codes begin with letters themselves.
func PostalCode(address *Address) string {
	code := strings.TrimSpace(address.PostalCode)
	if parts := countryBefore.FindStringSubmatch(code); parts != nil && address.Country != "MT" {
		return parts[1]
	}
	return code
}
