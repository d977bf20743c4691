package destination

import (
	"net/netip"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// form is a way to write a value.
type form struct {
	name   string
	read   reader
	taken  string // what is taken besides the recommended form, for docs/shop.md; empty: nothing
	schema string // what the JSON Schema says of the recommended form; empty: nothing
}

// reader puts a value that is not null into a field of a struct. If the value cannot be read, the field is empty, and
// why says so in a few words; of a list it holds what can be read.
type reader func(d *decoder, value gjson.Result, field reflect.Value) (why string)

// forms are all of them but objects and lists of objects, which describe makes.
var forms = []form{
	{"text", text, "a number, blanks around it, a list with a single entry",
		`{"type": ["string", "null"]}`},
	{"texts", texts, "a single text, numbers among the entries, an object whose names are the numbers of its entries",
		`{"type": ["array", "null"], "items": {"type": "string"}}`},
	{"boolean", boolean, "`1`, `0`, and `true`, `false`, `1`, `0`, `yes`, `no` as texts",
		`{"type": ["boolean", "null"]}`},
	{"answer", answer, "for no also `0`, and `false`, `0`, `no` as texts; yes is `true` alone",
		`{"type": ["boolean", "null"]}`},
	{"count", count, "a text, zeros behind the point",
		`{"type": ["integer", "null"], "minimum": 0, "maximum": 999999999999999}`},
	{"money", written(isMoney, mendMoney, "no amount with at most 12 digits before the point"),
		"a number, which is read from its text and is exact; more decimals, which are rounded to 4; `749,00`, `1.234,50`, `1,234.50`, `1 234.50`; " +
			"a currency beside it, which says nothing, but `1.234 kr`, which may be 1234, is left out",
		`{"description": "A decimal string such as \"749.00\".", "type": ["string", "null"], "pattern": "^(-?[0-9]{1,12}(\\.[0-9]{1,4})?)?$"}`},
	{"quantity", quantity, "a text, a comma for the point; more decimals, which are rounded to 3",
		`{"description": "A positive number with at most 3 decimals.", ` +
			`"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": 1000000000, "multipleOf": 0.001}`},
	{"email", written(isEmail, mendEmail, "no e-mail address"), "blanks around it, `mailto:`, `Jane Doe <jane@example.com>`",
		`{"type": ["string", "null"], "maxLength": 254, ` +
			`"pattern": "^([^@\\s<>()\\[\\],;:\"\\\\]+@[^@\\s<>()\\[\\],;:\"\\\\]+\\.[^@.\\s<>()\\[\\],;:\"\\\\]+)?$"}`},
	// A phone number is put right when the whole payload is read, since the country may come after it.
	{"phone", text, "any way to write it with `+` or `00` and the country's code; a national number, with the country of the customer's address, " +
		"else that of `shop.country` in the configuration",
		`{"description": "E.164.", "type": ["string", "null"], "pattern": "^(\\+[1-9][0-9]{1,14})?$"}`},
	{"country", written(isCountry, mendCountry, "no country of ISO 3166-1"), "small letters, three letters, the number, `UK`, `EL`",
		`{"description": "ISO 3166-1 alpha-2.", "type": ["string", "null"], "pattern": "^([A-Z]{2})?$"}`},
	{"currency", written(isCurrency, mendCurrency, "no currency of ISO 4217"), "small letters, `€`, `£`",
		`{"description": "ISO 4217.", "type": ["string", "null"], "pattern": "^([A-Z]{3})?$"}`},
	{"language", written(isLanguage, mendLanguage, "no language"), "`da_DK`, `DA-dk`, `da_DK.UTF-8`",
		`{"type": ["string", "null"]}`},
	{"date", written(isDate, mendDate, "no date"), "a date with a time, `19900517`, `17.05.1990`; `0000-00-00` for none",
		`{"type": ["string", "null"], "anyOf": [{"enum": ["", null]}, {"format": "date"}]}`},
	{"day", written(isDay, mendDate, "no date"), "as a date",
		`{"type": ["string", "null"], "anyOf": [{"enum": ["", null]}, {"format": "date"}, {"format": "date-time"}]}`},
	{"ip", written(isIP, mendIP, "no IP address, or none of the public internet in a list"), "a port, brackets; a list of proxies, of which the first public address counts",
		`{"type": ["string", "null"], "anyOf": [{"enum": ["", null]}, {"format": "ipv4"}, {"format": "ipv6"}]}`},
	{"free", free, "", ""},
}

// noText is why a text is left out.
const noText = "no text"

func text(_ *decoder, value gjson.Result, field reflect.Value) (why string) {
	if value.Type == gjson.String && isClean(value) { // as nearly all are
		field.SetString(value.Str)
		return ""
	}
	text, ok := scalar(value)
	if !ok {
		why = noText
	}
	field.SetString(text)
	return why
}

// written reads what is a text in the recommended form as it stands, and of anything else what mend makes of
// its text; an empty one stands for none.
func written(good func(string) bool, mend func(string) (mended string, ok bool), why string) reader {
	return func(_ *decoder, value gjson.Result, field reflect.Value) string {
		if value.Type == gjson.String && (value.Str == "" || good(value.Str)) {
			field.SetString(value.Str)
			return ""
		}
		text, ok := scalar(value)
		if ok && text != "" && !good(text) {
			text, ok = mend(text)
		}
		if !ok {
			field.SetZero()
			return why
		}
		field.SetString(text)
		return ""
	}
}

// texts reads a list of texts; a single one is a list of one. Entries that are none are left out.
func texts(_ *decoder, value gjson.Result, field reflect.Value) (why string) {
	list := []string(nil)
	add := func(_, value gjson.Result) bool {
		text, ok := value.Str, value.Type == gjson.String && isClean(value)
		if !ok {
			text, ok = scalar(value)
		}
		switch {
		case ok:
			list = append(list, text)
		case value.Type != gjson.Null:
			why = noText
		}
		return true
	}
	entries, ok := value, value.IsArray()
	if !ok {
		entries, ok = listIn(value)
	}
	switch {
	case ok:
		entries.ForEach(add)
	case value.Type != gjson.String || value.Str != "":
		add(gjson.Result{}, value)
	}
	*field.Addr().Interface().(*[]string) = list
	return why
}

func boolean(_ *decoder, value gjson.Result, field reflect.Value) (why string) {
	if value.IsBool() {
		filled(field).SetBool(value.Type == gjson.True)
		return ""
	}
	switch said(value) {
	case "":
		field.SetZero()
	case "true", "1", "yes":
		filled(field).SetBool(true)
	case "false", "0", "no":
		filled(field).SetBool(false)
	default:
		field.SetZero()
		return "neither true nor false"
	}
	return ""
}

// answer reads what a person has said to a question of consent: yes is the literal true alone.
func answer(d *decoder, value gjson.Result, field reflect.Value) (why string) {
	if word := said(value); value.Type != gjson.True && (word == "true" || word == "1" || word == "yes") {
		field.SetZero()
		return "yes must be written true"
	}
	return boolean(d, value, field)
}

// said is a value's text in small letters; true and false for themselves, and ? for what is no text.
func said(value gjson.Result) string {
	if value.IsBool() {
		return value.Raw
	}
	text, ok := scalar(value)
	if !ok {
		return "?"
	}
	return strings.ToLower(text)
}

// count reads a number of things, which may be none.
func count(_ *decoder, value gjson.Result, field reflect.Value) (why string) {
	text, ok := scalar(value)
	if ok && text == "" {
		field.SetZero()
		return ""
	}
	if !ok || !isDigits(text, 15) {
		if text, ok = mendCount(text); !ok {
			field.SetZero()
			return "no whole number that is not negative"
		}
	}
	filled(field).SetInt(gjson.Parse(text).Int())
	return ""
}

func quantity(_ *decoder, value gjson.Result, field reflect.Value) (why string) {
	if value.Type == gjson.Number && isQuantity(value.Raw) {
		field.SetString(value.Raw)
		return ""
	}
	text, ok := scalar(value)
	if ok && text != "" {
		text, ok = mendQuantity(text)
	}
	if !ok {
		field.SetZero()
		return "no number above 0 with at most 9 digits before the point"
	}
	field.SetString(text)
	return ""
}

func free(_ *decoder, value gjson.Result, field reflect.Value) (why string) {
	field.SetBytes([]byte(value.Raw))
	return ""
}

// one reads an object into a field that points to a struct; a repeated one replaces the first.
func one(name string, o *object) reader {
	return func(d *decoder, value gjson.Result, field reflect.Value) (why string) {
		if !value.IsObject() {
			if isBlank(value) {
				field.SetZero()
				return ""
			}
			var ok bool
			if value, ok = objectIn(value); !ok {
				field.SetZero()
				return "no object"
			}
		}
		d.within(step{member: name}, o, value, filled(field))
		return ""
	}
}

// items reads a list of objects. Entries that are none are left out; a single object is a list of one.
func items(name string, o *object) reader {
	return func(d *decoder, value gjson.Result, field reflect.Value) (why string) {
		if !value.IsArray() {
			if isBlank(value) {
				field.SetZero()
				return ""
			}
			var ok bool
			if value, ok = itemsIn(value, o); !ok {
				field.SetZero()
				return "no list"
			}
		}
		list, number := make([]Item, 0, 2), 0
		d.way = append(d.way, step{member: name})
		value.ForEach(func(_, value gjson.Result) bool {
			entry := step{entry: number}
			number++
			if !value.IsObject() {
				var ok bool
				if value, ok = objectIn(value); !ok {
					d.omit(entry, "no object")
					return true
				}
			}
			list = append(list, Item{})
			d.within(entry, o, value, reflect.ValueOf(&list[len(list)-1]).Elem())
			return true
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
	if r < utf8.RuneSelf {
		return r <= ' ' || r == 0x7f || strings.IndexByte(`@<>()[],;:"\`, byte(r)) >= 0
	}
	return r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// isPhone tells whether s is E.164: a plus, then 2 to 15 digits that do not begin with 0.
func isPhone(s string) bool {
	digits, plus := strings.CutPrefix(s, "+")
	return plus && len(digits) > 1 && digits[0] != '0' && isDigits(digits, 15)
}

func isDate(s string) bool {
	if len(s) != len(time.DateOnly) {
		return false
	}
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
