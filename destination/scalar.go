package destination

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// This file looks for texts, lists and objects in what shops write instead of them.

// scalar is a value as a text: a string without blanks around it and without what no text holds, a number as
// it is written, the only entry of a list. false: it is none.
func scalar(value gjson.Result) (text string, ok bool) {
	switch value.Type {
	case gjson.String:
		return cleaned(value), true
	case gjson.Number:
		return numeral(value.Raw), true
	case gjson.JSON:
		if entry, only := onlyEntry(value); only && entry.Type != gjson.JSON {
			return scalar(entry)
		}
	}
	return "", false
}

// isClean tells whether a string has no escapes, and no blanks around it.
func isClean(value gjson.Result) bool {
	text := value.Str
	return text == "" || len(text) == len(value.Raw)-2 && isPlain(text[0]) && isPlain(text[len(text)-1])
}

// cleaned is a string without blanks around it. Where escapes say that there may be some, NUL, which Postgres
// and most providers refuse, and halves of surrogate pairs, which a text cut in the middle of a character leaves,
// are dropped.
func cleaned(value gjson.Result) string {
	text := value.Str
	if len(text) != len(value.Raw)-2 { // else it is as written, without escapes
		text = strings.Map(func(r rune) rune {
			if r == 0 || r == utf8.RuneError {
				return -1
			}
			return r
		}, text)
	}
	if text == "" || isPlain(text[0]) && isPlain(text[len(text)-1]) {
		return text
	}
	return strings.TrimSpace(strings.ToValidUTF8(text, ""))
}

func isPlain(c byte) bool { return ' ' < c && c < utf8.RuneSelf }

// numeral is a number as a text: as written, but for decimals that are all zeros and exponents, which
// programs that keep every number as a float add: 42.0 is the id 42.
func numeral(raw string) string {
	if strings.ContainsAny(raw, "eE") {
		return plainNumber(raw)
	}
	if whole, decimals, point := strings.Cut(raw, "."); point && len(decimals) == 1 && decimals[0] == '0' {
		return whole
	}
	return raw
}

// isBlank tells whether a value is an empty string, which counts as left out.
func isBlank(value gjson.Result) bool {
	return value.Type == gjson.String && strings.TrimSpace(value.Str) == ""
}

// objectIn is an object, also if it is an empty list, which PHP makes of one without members, or JSON in a
// string, as columns of a database give it.
func objectIn(value gjson.Result) (object gjson.Result, ok bool) {
	value = unquoted(value)
	if value.IsArray() && isEmpty(value) {
		return gjson.Parse("{}"), true
	}
	return value, value.IsObject()
}

// listIn is a list, also if it is an object whose names are numbers, which PHP makes of one that has gaps, or
// JSON in a string.
func listIn(value gjson.Result) (list gjson.Result, ok bool) {
	value = unquoted(value)
	if value.IsArray() {
		return value, true
	}
	return value, value.IsObject() && numbered(value)
}

// itemsIn is listIn, and a single object of those that o describes as the only one of a list.
func itemsIn(value gjson.Result, o *object) (list gjson.Result, ok bool) {
	list, ok = listIn(value)
	if !ok && list.IsObject() && o.isKnown(list) {
		return gjson.Parse("[" + list.Raw + "]"), true
	}
	return list, ok
}

// unquoted is the JSON object or list in a string, else the value itself.
func unquoted(value gjson.Result) gjson.Result {
	if value.Type != gjson.String {
		return value
	}
	inner := strings.TrimSpace(value.Str)
	if inner == "" || inner[0] != '{' && inner[0] != '[' || tooDeep([]byte(inner)) || !gjson.Valid(inner) {
		return value
	}
	return gjson.Parse(inner)
}

// isKnown tells whether an object has a member that o describes.
func (o *object) isKnown(value gjson.Result) bool {
	known := false
	value.ForEach(func(name, _ gjson.Result) bool {
		known = o.member(name.Str) != nil
		return !known
	})
	return known
}

func isEmpty(value gjson.Result) bool {
	empty := true
	value.ForEach(func(_, _ gjson.Result) bool {
		empty = false
		return false
	})
	return empty
}

func numbered(object gjson.Result) bool {
	all := true
	object.ForEach(func(name, _ gjson.Result) bool {
		all = isDigits(name.Str, 9)
		return all
	})
	return all
}

// onlyEntry is the entry of a list that has no other.
func onlyEntry(value gjson.Result) (entry gjson.Result, ok bool) {
	if !value.IsArray() {
		return gjson.Result{}, false
	}
	n := 0
	value.ForEach(func(_, found gjson.Result) bool {
		entry = found
		n++
		return n < 2
	})
	return entry, n == 1
}
