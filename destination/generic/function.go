package generic

import (
	"crypto/md5" //nolint:gosec // providers ask for it; nothing is protected by it
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
	"golang.org/x/text/currency"

	"kvit/config"
	"kvit/destination"
)

// argument is what stands in the brackets of a function: a text, a number or a member.
type argument struct {
	value  value
	member *member
}

func (a argument) of(s scope) value {
	if a.member != nil {
		return a.member.get(s)
	}
	return a.value
}

func (a argument) isText() bool { return a.member == nil && a.value.form == text }

// whole is a number such as the decimals of an amount.
func (a argument) whole(most int) (int, bool) {
	n, err := strconv.Atoi(a.value.text)
	return n, a.member == nil && a.value.form == number && err == nil && 0 <= n && n <= most
}

// step is one function of an expression, with its arguments. It gets no missing value unless it asks for those.
type step struct {
	apply   func(s scope, v value) value
	missing bool // apply gets missing values as well
	lists   bool // apply gets lists, and only those
}

// function makes a step of arguments; problem says what is wrong with them.
type function func(arguments []argument) (made step, problem string)

var functions = map[string]function{
	"default": defaultTo,
	"choose":  choose,
	"join":    join,
	"lower":   plain(destination.Lower),
	"upper":   plain(strings.ToUpper),
	"trim":    plain(strings.TrimSpace),
	"text":    plain(func(text string) string { return text }), // of a number or a yes, for JSON
	"sha256":  plain(destination.SHA256Hex),
	"md5":     plain(md5Hex),
	"number":  numeric,
	"decimal": decimal,
	"minor":   minor,
	"plus":    compute(decimals.Add),
	"minus":   compute(decimals.Sub),
	"times":   compute(decimals.Mul),
	"cut":     cut,
	"without": without,
	"date":    date,
}

func functionNames() []string {
	names := make([]string, 0, len(functions))
	for name := range functions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func unknownFunction(name string) string {
	problem := fmt.Sprintf("%q is not a function", name)
	if near, ok := config.Nearest(name, functionNames()); ok {
		return problem + "; did you mean " + near + "?"
	}
	return problem + "; there are " + strings.Join(functionNames(), ", ")
}

func plain(change func(string) string) function {
	return func(arguments []argument) (step, string) {
		if len(arguments) > 0 {
			return step{}, "takes nothing in brackets"
		}
		return step{apply: func(_ scope, v value) value { return textOf(change(v.text)) }}, ""
	}
}

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// defaultTo gives a missing value another one, which may be an empty text.
func defaultTo(arguments []argument) (step, string) {
	if len(arguments) != 1 {
		return step{}, "takes what stands in for a missing value, as in default('none') or default(order.ref)"
	}
	return step{missing: true, apply: func(s scope, v value) value {
		if v.known {
			return v
		}
		return arguments[0].of(s)
	}}, ""
}

// choose writes yes or no in a provider's words. Of custom members, 1 and true are yes.
func choose(arguments []argument) (step, string) {
	if len(arguments) != 2 {
		return step{}, "takes what stands for yes and what for no, as in choose('new', 'returning')"
	}
	return step{apply: func(s scope, v value) value {
		if v.text == "true" || v.text == "1" {
			return arguments[0].of(s)
		}
		return arguments[1].of(s)
	}}, ""
}

func join(arguments []argument) (step, string) {
	if len(arguments) != 1 || !arguments[0].isText() {
		return step{}, "takes what stands between the entries, as in join(',')"
	}
	between := arguments[0].value.text
	return step{lists: true, apply: func(_ scope, v value) value {
		entries := make([]string, len(v.list))
		for i, entry := range v.list {
			entries[i] = apart(entry, between)
		}
		return textOf(strings.Join(entries, between))
	}}, ""
}

// apart keeps a value from being taken for two: what stands between values becomes a blank in them.
func apart(text, between string) string {
	if strings.TrimSpace(between) == "" {
		return text
	}
	return strings.ReplaceAll(text, between, " ")
}

// decimals computes with more digits than any amount of the payload has.
var decimals = apd.Context{Precision: 60, MaxExponent: 100, MinExponent: -100, Rounding: apd.RoundHalfUp}

// amount reads a number; false: it is none.
func amount(text string) (*apd.Decimal, bool) {
	if len(text) > 40 || !json.Valid([]byte(text)) || strings.ContainsAny(text, "eE\"") {
		return nil, false
	}
	d, _, err := apd.NewFromString(text)
	return d, err == nil && d.Form == apd.Finite
}

// numeric makes a JSON number of a text that is one.
func numeric(arguments []argument) (step, string) {
	if len(arguments) > 0 {
		return step{}, "takes nothing in brackets"
	}
	return step{apply: func(_ scope, v value) value {
		if _, ok := amount(v.text); !ok {
			return value{}
		}
		return numberOf(v.text)
	}}, ""
}

// rounded is an amount with so many decimals.
func rounded(d *apd.Decimal, places int) (string, bool) {
	var result apd.Decimal
	if _, err := decimals.Quantize(&result, d, -int32(places)); err != nil {
		return "", false
	}
	if result.IsZero() {
		result.Negative = false
	}
	return result.Text('f'), true
}

func decimal(arguments []argument) (step, string) {
	places, ok := 2, true
	if len(arguments) == 1 {
		places, ok = arguments[0].whole(8)
	}
	if !ok || len(arguments) > 1 {
		return step{}, "takes how many decimals, from 0 to 8, as in decimal(2)"
	}
	return step{apply: func(_ scope, v value) value {
		d, ok := amount(v.text)
		if !ok {
			return value{}
		}
		text, ok := rounded(d, places)
		return value{known: ok, text: text, form: v.form}
	}}, ""
}

// minor writes an amount in the smallest unit: 749.00 is 74900, or 749 of a currency that has no smaller one.
func minor(arguments []argument) (step, string) {
	if len(arguments) > 1 {
		return step{}, "takes the currency, as in minor(order.currency), or how many decimals it has"
	}
	digits := func(scope) (int, bool) { return 2, true }
	if len(arguments) == 1 && arguments[0].member != nil {
		digits = func(s scope) (int, bool) { return minorDigits(arguments[0].of(s).text) }
	} else if len(arguments) == 1 {
		n, ok := arguments[0].whole(4)
		if !ok {
			return step{}, "takes the currency, as in minor(order.currency), or how many decimals it has"
		}
		digits = func(scope) (int, bool) { return n, true }
	}
	return step{apply: func(s scope, v value) value {
		d, isAmount := amount(v.text)
		places, known := digits(s)
		if !isAmount || !known {
			return value{}
		}
		d.Exponent += int32(places)
		text, ok := rounded(d, 0)
		return value{known: ok, text: text, form: number}
	}}, ""
}

func minorDigits(code string) (int, bool) {
	unit, err := currency.ParseISO(code)
	if err != nil {
		return 2, code != "" // one that has come since the library's list
	}
	digits, _ := currency.Standard.Rounding(unit)
	return digits, true
}

// compute takes a missing amount for 0: a shop that has no discount writes none.
func compute(with func(d, x, y *apd.Decimal) (apd.Condition, error)) function {
	return func(arguments []argument) (step, string) {
		if len(arguments) != 1 || arguments[0].isText() {
			return step{}, "takes an amount, as in minus(order.tax)"
		}
		return step{apply: func(s scope, v value) value {
			x, ok := amount(v.text)
			other := arguments[0].of(s)
			if ok && !other.known {
				return v
			}
			y, also := amount(other.text)
			if !ok || !also {
				return value{}
			}
			var result apd.Decimal
			if _, err := with(&result, x, y); err != nil {
				return value{}
			}
			return value{known: true, text: result.Text('f'), form: v.form}
		}}, ""
	}
}

func cut(arguments []argument) (step, string) {
	if len(arguments) == 1 {
		if most, ok := arguments[0].whole(10_000); ok && most > 0 {
			return step{apply: func(_ scope, v value) value { return textOf(destination.Cut(v.text, most)) }}, ""
		}
	}
	return step{}, "takes how many characters are kept, as in cut(100)"
}

// without makes blanks of the characters that would divide the value in the provider's eyes.
func without(arguments []argument) (step, string) {
	if len(arguments) != 1 || !arguments[0].isText() || arguments[0].value.text == "" {
		return step{}, "takes the characters that become blanks, as in without('|:')"
	}
	divide := arguments[0].value.text
	return step{apply: func(_ scope, v value) value {
		return textOf(strings.TrimSpace(strings.Map(func(r rune) rune {
			if strings.ContainsRune(divide, r) {
				return ' '
			}
			return r
		}, v.text)))
	}}, ""
}
