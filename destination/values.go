package destination

import (
	"net/netip"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/tidwall/gjson"
)

// form is a way to write a value.
type form struct {
	name   string
	read   reader
	schema string // what the JSON Schema says of it; empty: nothing
}

// reader puts a value that is not null into a field of a struct. If the value is not in its form, the
// field stays as it is, and must says what the value must be.
type reader func(d *decoder, value gjson.Result, field reflect.Value) (must string)

// forms are all of them but objects and lists of objects, which describe makes.
var forms = []form{
	{"text", text, `{"type": ["string", "null"]}`},
	{"texts", texts, `{"type": ["array", "null"], "items": {"type": "string"}}`},
	{"boolean", boolean, `{"type": ["boolean", "null"]}`},
	{"count", count, `{"type": ["integer", "null"], "minimum": 0, "maximum": 999999999999999}`},
	{"money", pattern(isMoney, `money must be a decimal string such as "749.00"`),
		`{"description": "A decimal string such as \"749.00\".", "type": ["string", "null"], "pattern": "^(-?[0-9]{1,12}(\\.[0-9]{1,4})?)?$"}`},
	{"quantity", quantity, `{"description": "A positive number with at most 3 decimals.", ` +
		`"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": 1000000000, "multipleOf": 0.001}`},
	{"email", pattern(isEmail, "must be an e-mail address"), `{"type": ["string", "null"], "maxLength": 254, ` +
		`"pattern": "^([^@\\s<>()\\[\\],;:\"\\\\]+@[^@\\s<>()\\[\\],;:\"\\\\]+\\.[^@.\\s<>()\\[\\],;:\"\\\\]+)?$"}`},
	{"phone", pattern(isPhone, `must be a phone number such as "+4512345678" (E.164)`),
		`{"description": "E.164.", "type": ["string", "null"], "pattern": "^(\\+[1-9][0-9]{1,14})?$"}`},
	{"country", pattern(isCountry, `must be a country code such as "DK" (ISO 3166-1 alpha-2)`),
		`{"description": "ISO 3166-1 alpha-2.", "type": ["string", "null"], "pattern": "^([A-Z]{2})?$"}`},
	{"currency", pattern(isCurrency, `must be a currency code such as "DKK" (ISO 4217)`),
		`{"description": "ISO 4217.", "type": ["string", "null"], "pattern": "^([A-Z]{3})?$"}`},
	{"date", pattern(isDate, "must be a date written YYYY-MM-DD"),
		`{"type": ["string", "null"], "anyOf": [{"enum": ["", null]}, {"format": "date"}]}`},
	{"day", pattern(isDay, "must be a date written YYYY-MM-DD, or a time in RFC 3339"),
		`{"type": ["string", "null"], "anyOf": [{"enum": ["", null]}, {"format": "date"}, {"format": "date-time"}]}`},
	{"ip", pattern(isIP, "must be an IP address"),
		`{"type": ["string", "null"], "anyOf": [{"enum": ["", null]}, {"format": "ipv4"}, {"format": "ipv6"}]}`},
	{"free", free, ""},
}

func text(_ *decoder, value gjson.Result, field reflect.Value) (must string) {
	if value.Type != gjson.String {
		return "must be a string"
	}
	field.SetString(value.Str)
	return ""
}

// pattern reads a string that good takes; an empty one stands for none.
func pattern(good func(string) bool, must string) reader {
	return func(_ *decoder, value gjson.Result, field reflect.Value) string {
		if value.Type != gjson.String || value.Str != "" && !good(value.Str) {
			return must
		}
		field.SetString(value.Str)
		return ""
	}
}

func texts(_ *decoder, value gjson.Result, field reflect.Value) (must string) {
	if !value.IsArray() {
		return "must be a list of strings"
	}
	var list []string
	value.ForEach(func(_, value gjson.Result) bool {
		if value.Type != gjson.String {
			must = "must be a list of strings"
			return false
		}
		list = append(list, value.Str)
		return true
	})
	if must == "" {
		*field.Addr().Interface().(*[]string) = list
	}
	return must
}

func boolean(_ *decoder, value gjson.Result, field reflect.Value) (must string) {
	if !value.IsBool() {
		return "must be true or false"
	}
	filled(field).SetBool(value.Type == gjson.True)
	return ""
}

// count reads a number of things, which may be none.
func count(_ *decoder, value gjson.Result, field reflect.Value) (must string) {
	if value.Type != gjson.Number || !isDigits(value.Raw, 15) {
		return "must be a whole number that is not negative"
	}
	filled(field).SetInt(value.Int())
	return ""
}

func quantity(_ *decoder, value gjson.Result, field reflect.Value) (must string) {
	if value.Type != gjson.Number || !isQuantity(value.Raw) {
		return "must be a positive number with at most 3 decimals"
	}
	field.SetString(value.Raw)
	return ""
}

func free(_ *decoder, value gjson.Result, field reflect.Value) (must string) {
	field.SetBytes([]byte(value.Raw))
	return ""
}

// one reads an object into a field that points to a struct; a repeated one replaces the first.
func one(name string, o *object) reader {
	return func(d *decoder, value gjson.Result, field reflect.Value) (must string) {
		if !value.IsObject() {
			return "must be an object"
		}
		d.within(step{member: name}, o, value, filled(field))
		return ""
	}
}

// items reads a list of objects, none of which may be null.
func items(name string, o *object) reader {
	return func(d *decoder, value gjson.Result, field reflect.Value) (must string) {
		if !value.IsArray() {
			return "must be a list"
		}
		list := []Item{}
		d.way = append(d.way, step{member: name})
		value.ForEach(func(_, value gjson.Result) bool {
			entry := step{entry: len(list)}
			if !value.IsObject() {
				d.mistake(entry, "must be an object")
				return false
			}
			list = append(list, Item{})
			d.within(entry, o, value, reflect.ValueOf(&list[len(list)-1]).Elem())
			return d.err == nil
		})
		d.way = d.way[:len(d.way)-1]
		*field.Addr().Interface().(*[]Item) = list
		return ""
	}
}

// filled is the field itself, or what it points to, which is made anew.
func filled(field reflect.Value) reflect.Value {
	if field.Kind() != reflect.Pointer {
		return field
	}
	field.Set(reflect.New(field.Type().Elem()))
	return field.Elem()
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

func isCountry(s string) bool { return isUpper(s, 2) }

func isCurrency(s string) bool { return isUpper(s, 3) }

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

func isDay(s string) bool { return isDate(s) || isDateTime(s) }

func isDateTime(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}
