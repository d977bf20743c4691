package generic

import (
	"net/url"
	"slices"
	"strings"
)

// pair is one parameter of a query or a form, or a header.
type pair struct{ name, value string }

// field makes pairs: one, or one for each entry of a list.
type field struct {
	name  template
	value template
	each  *list
	join  *string // the entries become one value, with this between them
}

// pairs leaves out what is missing.
func (f field) pairs(s scope) []pair {
	switch {
	case f.each == nil:
		return f.pair(nil, s)
	case f.join != nil:
		return f.joined(s)
	}
	var all []pair
	for _, entry := range f.each.scopes(s) {
		all = f.pair(all, entry)
	}
	return all
}

func (f field) pair(to []pair, s scope) []pair {
	name, value := f.name.of(s), f.value.of(s)
	if !name.known || !value.known {
		return to
	}
	return append(to, pair{name.text, value.text})
}

func (f field) joined(s scope) []pair {
	name, text := f.name.of(s), joinEach(f.value, *f.each, *f.join, s)
	if !name.known || !text.known {
		return nil
	}
	return []pair{{name.text, text.text}}
}

// joinEach makes one text of a list's entries. What stands between them becomes a blank within a value.
func joinEach(t template, each list, between string, s scope) value {
	var entries []string
	for _, entry := range each.scopes(s) {
		written, missing := t.write(entry, func(text string) string { return apart(text, between) })
		if !missing {
			entries = append(entries, written)
		}
	}
	return textOf(strings.Join(entries, between))
}

// encode writes pairs as a form does, or a query, in which a blank is %20.
func encode(pairs []pair, query bool) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name) + "=" + url.QueryEscape(p.value))
	}
	if query {
		return strings.ReplaceAll(b.String(), "+", "%20") // a plus itself is %2B
	}
	return b.String()
}

func allPairs(fields []field, s scope) []pair {
	var all []pair
	for _, f := range fields {
		all = append(all, f.pairs(s)...)
	}
	return all
}

// isCalled tells whether the name is this one for every event.
func (f field) isCalled(name string) bool {
	return f.name.isFixed() && f.name.of(scope{}).text == name
}

// isIn tells whether one of the fields is called the same for every event.
func (f field) isIn(others []field) bool {
	return slices.ContainsFunc(others, func(other field) bool { return f.name.isFixed() && other.isCalled(f.name.of(scope{}).text) })
}
