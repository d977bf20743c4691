package economictest

import (
	"slices"
	"strconv"
	"strings"
)

// Finds tells whether a filter finds a document that has this reference; ok is false if the filter is refused.
func Finds(filter, other string) (found, ok bool) {
	keep, ok := parse(filter)
	return ok && keep(func(string) string { return other }), ok
}

// parser reads the dialect of filters, as far as kvit needs it: comparisons with $eq: and $ne:, $and:, $or:, parentheses,
// escapes.
type parser struct {
	rest   string
	equals map[string]map[string]bool // folded values that a field is compared with by $eq:
	mixed  bool                       // the filter has something else than these and $or: between them
}

type test func(field func(string) string) bool

// parse is false for what e-conomic answers with 400.
func parse(filter string) (test, bool) {
	p := &parser{rest: filter, equals: map[string]map[string]bool{}}
	t, ok := p.or()
	if !ok || p.rest != "" {
		return nil, false
	}
	for name, values := range p.equals {
		if !p.mixed && len(p.equals) == 1 { // looked up, as the ERP does by its index: a filter has dozens, and there are thousands of documents
			return func(field func(string) string) bool { return values[fold(field(name))] }, true
		}
	}
	return t, true
}

// fold makes texts equal that differ by case alone.
func fold(text string) string { return strings.ToLower(strings.ToUpper(text)) }

func (p *parser) take(text string) bool {
	rest, ok := strings.CutPrefix(p.rest, text)
	p.rest = rest
	return ok
}

func (p *parser) or() (test, bool) {
	left, ok := p.and()
	for ok && p.take("$or:") {
		a := left
		var b test
		b, ok = p.and()
		left = func(f func(string) string) bool { return a(f) || b(f) }
	}
	return left, ok
}

func (p *parser) and() (test, bool) {
	left, ok := p.term()
	for ok && p.take("$and:") {
		p.mixed = true
		a := left
		var b test
		b, ok = p.term()
		left = func(f func(string) string) bool { return a(f) && b(f) }
	}
	return left, ok
}

func (p *parser) term() (test, bool) {
	if p.take("(") {
		inner, ok := p.or()
		return inner, ok && p.take(")")
	}
	end := strings.IndexByte(p.rest, '$')
	if end < 0 {
		return nil, false
	}
	name := p.rest[:end]
	p.rest = p.rest[end:]
	if !slices.Contains([]string{"references.other", "notes.heading", "orderNumber"}, name) {
		return nil, false // not among the properties that can be filtered, or one that kvit has no use for
	}
	equal := p.take("$eq:")
	if !equal && !p.take("$ne:") {
		return nil, false // $in: is for numbers, $like: takes patterns
	}
	value, ok := p.value()
	if _, err := strconv.Atoi(value); name == "orderNumber" && err != nil {
		return nil, false
	}
	p.mixed = p.mixed || !equal
	if p.equals[name] == nil {
		p.equals[name] = map[string]bool{}
	}
	p.equals[name][fold(value)] = true
	return func(f func(string) string) bool { return strings.EqualFold(f(name), value) == equal }, ok
}

// value ends at an operator, a parenthesis or the end.
func (p *parser) value() (string, bool) {
	var b strings.Builder
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == '$' && len(p.rest) > 1 && strings.IndexByte("$()*,[]", p.rest[1]) >= 0:
			b.WriteByte(p.rest[1])
			p.rest = p.rest[2:]
		case c == '$' || c == ')':
			return b.String(), b.Len() > 0
		case strings.IndexByte("(*,[]", c) >= 0:
			return "", false
		default:
			b.WriteByte(c)
			p.rest = p.rest[1:]
		}
	}
	return b.String(), b.Len() > 0
}
