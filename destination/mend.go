package destination

import (
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/cockroachdb/apd/v3"
	"golang.org/x/text/language"
)

// This file makes the recommended form of odd ones whose meaning is certain.

// longestNumber is the length in characters beyond which a text is no number: twice what an amount takes,
// with room for the decimals of a float.
const longestNumber = 64

// decimals computes with more digits than such a text can hold.
var decimals = apd.Context{Precision: 2 * longestNumber, MaxExponent: 1000, MinExponent: -1000, Rounding: apd.RoundHalfUp}

// decimal reads a number and rounds it to so many decimals; false: it is none, or has more than most digits
// before the point.
func decimal(text string, most, places int) (*apd.Decimal, bool) {
	if len(text) > longestNumber || !isNumber.MatchString(text) {
		return nil, false
	}
	exact, _, err := apd.NewFromString(text)
	if err != nil || exact.Exponent < -1000 || exact.Exponent+int32(exact.NumDigits()) > int32(most) && !exact.IsZero() {
		return nil, false
	}
	var rounded apd.Decimal
	if _, err := decimals.Quantize(&rounded, exact, -int32(places)); err != nil {
		return nil, false
	}
	return &rounded, rounded.NumDigits() <= int64(most+places)
}

var isNumber = regexp.MustCompile(`^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$`)

// mendMoney keeps at least two decimals, so that 749.000000 is 749.00.
func mendMoney(text string) (string, bool) {
	bare := withoutCurrency(text)
	if bare != text && pointOfThousands.MatchString(bare) {
		return "", false
	}
	amount, ok := decimal(decimalText(bare), 12, 4)
	if !ok {
		return "", false
	}
	written := amount.Text('f')
	for strings.HasSuffix(written, "0") && len(written)-strings.IndexByte(written, '.') > 3 {
		written = written[:len(written)-1]
	}
	return written, isMoney(written)
}

func mendQuantity(text string) (string, bool) {
	quantity, ok := decimal(decimalText(text), 9, 3)
	if !ok {
		return "", false
	}
	written := strings.TrimSuffix(strings.TrimRight(quantity.Text('f'), "0"), ".")
	return written, isQuantity(written)
}

func mendCount(text string) (string, bool) {
	whole, ok := decimal(text, 15, 1)
	if !ok {
		return "", false
	}
	written, isWhole := strings.CutSuffix(whole.Text('f'), ".0")
	return written, isWhole && isDigits(written, 15)
}

// plainNumber writes a number without its exponent; one that is too long for that stays as it is.
func plainNumber(raw string) string {
	exact, _, err := apd.NewFromString(raw)
	if err != nil || exact.Exponent < -longestNumber || exact.Exponent > longestNumber {
		return raw
	}
	return exact.Text('f')
}

// Amounts as people of several countries write them. A point or comma with three digits behind it may be either,
// so that a comma needs one or two, or another sign between the thousands.
var (
	commaDecimal = regexp.MustCompile(`^([+-]?(?:[0-9]+|[0-9]{1,3}(?:[ .'][0-9]{3})+)),([0-9]{1,2})$`)
	pointDecimal = regexp.MustCompile(`^([+-]?[0-9]{1,3}(?:[ ,'][0-9]{3})+)(?:\.([0-9]{1,4}))$`)
	// Beside a currency it was written for people, of whom half mean thousands: 1.234 kr is 1234 in Denmark.
	pointOfThousands = regexp.MustCompile(`^[+−-]?[0-9]{1,3}\.[0-9]{3}$`)

	spacedWhole = regexp.MustCompile(`^[+-]?[0-9]{1,3}(?:[ '][0-9]{3})+$`)
)

var blanksAndSigns = strings.NewReplacer("\u00a0", " ", "\u202f", " ", "\u2009", " ", "’", "'", "−", "-")

// decimalText writes a number with a point before the decimals, and nothing between the thousands.
func decimalText(text string) string {
	text = blanksAndSigns.Replace(text)
	for _, form := range []*regexp.Regexp{commaDecimal, pointDecimal} {
		if parts := form.FindStringSubmatch(text); parts != nil {
			return withoutThousands.Replace(parts[1]) + "." + parts[2]
		}
	}
	if spacedWhole.MatchString(text) {
		return withoutThousands.Replace(text)
	}
	return text
}

var withoutThousands = strings.NewReplacer(" ", "", ".", "", ",", "", "'", "")

// withoutCurrency drops a currency before or behind an amount: the payload has a member of its own for it.
func withoutCurrency(text string) string {
	text = strings.TrimFunc(text, func(r rune) bool { return unicode.Is(unicode.Sc, r) || unicode.IsSpace(r) })
	parts := aroundAmount.FindStringSubmatch(text)
	if parts == nil {
		return text
	}
	for _, word := range []string{parts[1], parts[3]} {
		if !isCurrency(strings.ToUpper(word)) && word != "" && !strings.EqualFold(word, "kr") {
			return text
		}
	}
	return parts[2]
}

var aroundAmount = regexp.MustCompile(`^(?:(\pL+)\.?\s*)?([+−-]?[0-9.].*?)(?:\s*(\pL+)\.?)?$`)

// visible drops what nobody sees and copying brings along: zero-width blanks, soft hyphens, marks of direction.
func visible(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	return r
}

var (
	namedEmail  = regexp.MustCompile(`^[^<>]*<([^<>]+)>$`)
	emailScheme = regexp.MustCompile(`(?i)^mailto:`)
)

func mendEmail(text string) (string, bool) {
	text = strings.TrimSpace(strings.Map(visible, text))
	if parts := namedEmail.FindStringSubmatch(text); parts != nil {
		text = parts[1]
	}
	text = emailScheme.ReplaceAllString(strings.TrimSpace(text), "")
	text = strings.TrimRight(text, ".,; ")
	return text, isEmail(text)
}

// dateForms are other ways to write a day that can be no other day.
var dateForms = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04",
	"20060102", "2006/01/02", "2006.01.02", "02.01.2006", "2.1.2006"}

// mendDate gives the day as it is written, whatever the zone. The zeros by which MySQL says that it knows no
// date are none.
func mendDate(text string) (string, bool) {
	if strings.HasPrefix(text, "0000-00-00") {
		return "", true
	}
	for _, form := range dateForms {
		if day, err := time.Parse(form, text); err == nil {
			return day.Format(time.DateOnly), true
		}
	}
	return "", false
}

// mendIP takes the first public address of a list as proxies make it, and of a single address whatever it is.
func mendIP(text string) (string, bool) {
	list := strings.Split(text, ",")
	for _, entry := range list {
		addr, ok := address(entry)
		if ok && (len(list) == 1 || isRouted(addr)) {
			return addr.String(), true
		}
	}
	return "", false
}

// address reads an address with what servers put around it: a port, brackets, quotes, a zone.
func address(text string) (netip.Addr, bool) {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	text = strings.TrimPrefix(strings.TrimPrefix(text, "for="), `"`)
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.WithZone("").Unmap(), true
}

// sharedRange is of carriers' own networks (RFC 6598).
var sharedRange = netip.MustParsePrefix("100.64.0.0/10")

// isRouted tells whether an address may be a visitor's, and not that of a proxy within a network.
func isRouted(addr netip.Addr) bool {
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !sharedRange.Contains(addr)
}

// isLanguage tells whether s is da, or da-DK.
func isLanguage(s string) bool {
	code, country, both := strings.Cut(s, "-")
	return len(code) == 2 && strings.ToLower(code) == code && (!both || len(country) == 2 && isUpper(country))
}

// mendLanguage keeps a text that is no tag as it is: none of the providers refuses one.
func mendLanguage(text string) (string, bool) {
	plain, _, _ := strings.Cut(text, ".")
	tag, err := language.Parse(strings.ReplaceAll(plain, "_", "-"))
	if err != nil {
		return text, true
	}
	return tag.String(), true
}
