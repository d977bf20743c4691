package destination

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tidwall/gjson"
)

func (m member) items() []Item {
	if !m.value.IsArray() {
		m.reject("must be a list")
		return nil
	}
	items, path := []Item{}, m.path()
	m.value.ForEach(func(_, value gjson.Result) bool {
		items = append(items, m.d.item(path+"["+strconv.Itoa(len(items))+"]", value))
		return m.d.err == nil
	})
	return items
}

func (m member) text() string {
	if m.value.Type != gjson.String {
		m.reject("must be a string")
		return ""
	}
	return m.value.Str
}

// form is a string in a certain form; an empty one stands for none.
func (m member) form(good func(string) bool, must string) string {
	if m.value.Type != gjson.String {
		m.reject(must)
		return ""
	}
	if m.value.Str != "" && !good(m.value.Str) {
		m.reject(must)
		return ""
	}
	return m.value.Str
}

func (m member) texts() []string {
	if !m.value.IsArray() {
		m.reject("must be a list of strings")
		return nil
	}
	var texts []string
	m.value.ForEach(func(_, value gjson.Result) bool {
		if value.Type != gjson.String {
			m.reject("must be a list of strings")
			return false
		}
		texts = append(texts, value.Str)
		return true
	})
	return texts
}

func (m member) boolean() bool {
	if !m.value.IsBool() {
		m.reject("must be true or false")
	}
	return m.value.Type == gjson.True
}

func (m member) money() Money {
	return Money(m.form(isMoney, `money must be a decimal string such as "749.00"`))
}

func (m member) email() string {
	return m.form(isEmail, "must be an e-mail address")
}

func (m member) phone() string {
	return m.form(isPhone, `must be a phone number such as "+4512345678" (E.164)`)
}

func (m member) country() string {
	return m.form(func(s string) bool { return isUpper(s, 2) }, `must be a country code such as "DK" (ISO 3166-1 alpha-2)`)
}

func (m member) currency() string {
	return m.form(func(s string) bool { return isUpper(s, 3) }, `must be a currency code such as "DKK" (ISO 4217)`)
}

func (m member) birthday() string {
	return m.form(isDate, "must be a date written YYYY-MM-DD")
}

func (m member) day() string {
	return m.form(func(s string) bool { return isDate(s) || isDateTime(s) }, "must be a date written YYYY-MM-DD, or a time in RFC 3339")
}

func (m member) ip() string {
	return m.form(isIP, "must be an IP address")
}

func (m member) quantity() Quantity {
	if m.value.Type != gjson.Number || !isQuantity(m.value.Raw) {
		m.reject("must be a positive number with at most 3 decimals")
		return ""
	}
	return Quantity(m.value.Raw)
}

// count is a number of things, which may be none.
func (m member) count() *int64 {
	if m.value.Type != gjson.Number || !isDigits(m.value.Raw, 15) {
		m.reject("must be a whole number that is not negative")
		return nil
	}
	return new(m.value.Int())
}

// isMoney tells whether s is an optional minus, 1 to 12 digits, and maybe a point with 1 to 4 more.
func isMoney(s string) bool {
	whole, decimals, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	return isDigits(whole, 12) && (!point || isDigits(decimals, 4))
}

func isQuantity(s string) bool {
	whole, decimals, _ := strings.Cut(s, ".")
	decimals = strings.TrimRight(decimals, "0")
	return isDigits(whole, 9) && (decimals == "" || isDigits(decimals, 3)) && strings.Trim(s, "0.") != ""
}

// isDigits tells whether s is 1 to most digits.
func isDigits(s string, most int) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return 0 < len(s) && len(s) <= most
}

func isUpper(s string, length int) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return len(s) == length
}

// isEmail finds typing mistakes, no more: only the mail server knows what it accepts.
func isEmail(s string) bool {
	local, domain, _ := strings.Cut(s, "@")
	dot := strings.LastIndexByte(domain, '.')
	if len(s) > 254 || local == "" || dot < 1 || dot == len(domain)-1 {
		return false
	}
	return strings.IndexFunc(local, notInEmail) < 0 && strings.IndexFunc(domain, notInEmail) < 0
}

func notInEmail(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`@<>()[],;:"\`, r)
}

// isPhone tells whether s is E.164: a plus, then 2 to 15 digits that do not begin with 0.
func isPhone(s string) bool {
	digits, plus := strings.CutPrefix(s, "+")
	return plus && len(digits) > 1 && digits[0] != '0' && isDigits(digits, 15)
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

func isDateTime(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}
