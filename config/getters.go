package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Text reads a text that passes the checks, in their order; fallback is not checked.
func (s *Section) Text(name, fallback string, checks ...Check) string {
	e, ok := s.take(name)
	if !ok {
		return fallback
	}
	text, ok := s.reader.text(s.path(name), e, checks...)
	if !ok {
		return fallback
	}
	return text
}

// RequiredText is Text for a key that must be there.
func (s *Section) RequiredText(name string, checks ...Check) string {
	s.Require(name)
	return s.Text(name, "", checks...)
}

// TextOrNone is Text where None switches something off: it becomes an empty text.
func (s *Section) TextOrNone(name, fallback string, checks ...Check) string {
	text := s.Text(name, fallback, checks...)
	if text == None {
		return ""
	}
	return text
}

// URL reads the address of an API, without a slash at its end. Credentials go there, so plain http is for
// tests on the same machine alone.
func (s *Section) URL(name, fallback string, checks ...Check) string {
	checks = append([]Check{HTTPURL(loopback, "http only for this machine itself"), noQuery}, checks...)
	return strings.TrimRight(s.Text(name, fallback, checks...), "/")
}

// Choice reads one of a few words.
func (s *Section) Choice(name, fallback string, options ...string) string {
	return s.Text(name, fallback, oneOf(options...))
}

// Duration reads a duration from least to most; the file has it as in 30d, 72h, 15m or 90s.
func (s *Section) Duration(name string, fallback, least, most time.Duration) time.Duration {
	limits := fmt.Sprintf("from %s to %s", FormatDuration(least), FormatDuration(most))
	return s.durationWhere(name, fallback, func(d time.Duration) bool { return d >= least && d <= most }, limits)
}

// durationOrOff is duration where 0 switches something off.
func (s *Section) durationOrOff(name string, fallback, least, most time.Duration) time.Duration {
	limits := fmt.Sprintf("0 or from %s to %s", FormatDuration(least), FormatDuration(most))
	return s.durationWhere(name, fallback, func(d time.Duration) bool { return d == 0 || d >= least && d <= most }, limits)
}

func (s *Section) durationWhere(name string, fallback time.Duration, within func(time.Duration) bool, limits string) time.Duration {
	e, ok := s.take(name)
	if !ok {
		return fallback
	}
	text, ok := s.reader.durationText(s.path(name), e)
	if !ok {
		return fallback
	}
	d, problem := parseDuration(text)
	if problem == "" && !within(d) {
		problem = "must be " + limits
	}
	if problem != "" {
		s.Problem(name, problem)
		return fallback
	}
	return d
}

// optionalDuration reads a duration whose absence has a meaning of its own; 0 is a value.
func (s *Section) optionalDuration(name string) *time.Duration {
	if _, ok := s.entries[name]; !ok {
		s.take(name)
		return nil
	}
	return new(s.Duration(name, 0, 0, aCentury))
}

// durationText also takes a number, to say that its unit is missing; only 0 needs none.
func (r *reader) durationText(key string, e entry) (string, bool) {
	switch n := e.value.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return r.text(key, e)
}

// Integer reads a whole number from least to most.
func (s *Section) Integer(name string, fallback, least, most int) int {
	e, ok := s.take(name)
	if !ok {
		return fallback
	}
	n, ok := e.value.(*ast.IntegerNode)
	if !ok {
		s.Problem(name, unexpected(e.value, "must be a whole number, without quotes"))
		return fallback
	}
	value, ok := wholeNumber(n)
	if !ok || value < least || value > most {
		s.Problem(name, fmt.Sprintf("must be from %d to %d", least, most))
		return fallback
	}
	return value
}

// share reads a part of a whole, from 0 to 1.
func (s *Section) share(name string, fallback float64) float64 {
	e, ok := s.take(name)
	if !ok {
		return fallback
	}
	value, ok := number(e.value)
	if !ok {
		s.Problem(name, unexpected(e.value, "must be a number, without quotes"))
		return fallback
	}
	if value < 0 || value > 1 {
		s.Problem(name, "must be from 0 to 1")
		return fallback
	}
	return value
}

func number(n ast.Node) (float64, bool) {
	switch n := n.(type) {
	case *ast.FloatNode:
		return n.Value, true
	case *ast.IntegerNode:
		switch v := n.Value.(type) {
		case int64:
			return float64(v), true
		case uint64:
			return float64(v), true
		}
	}
	return 0, false
}

func wholeNumber(n *ast.IntegerNode) (int, bool) {
	switch v := n.Value.(type) {
	case int64:
		return int(v), int64(int(v)) == v
	case uint64:
		return int(v), v <= 1<<31-1
	}
	return 0, false
}

// Boolean reads true or false.
func (s *Section) Boolean(name string, fallback bool) bool {
	e, ok := s.take(name)
	if !ok {
		return fallback
	}
	n, ok := e.value.(*ast.BoolNode)
	if !ok {
		s.Problem(name, unexpected(e.value, "must be true or false"))
		return fallback
	}
	return n.Value
}

// list reads the items of a key; none if it is not there.
func (s *Section) list(name string) []entry {
	e, ok := s.take(name)
	if !ok {
		return nil
	}
	n, ok := e.value.(*ast.SequenceNode)
	if !ok {
		s.Problem(name, unexpected(e.value, "must be a list"))
		return nil
	}
	if len(n.Values) == 0 {
		s.Problem(name, "is an empty list: leave the key out instead")
	}
	items := make([]entry, 0, len(n.Values))
	for _, v := range n.Values {
		items = append(items, entry{line: nodeLine(v), value: v})
	}
	return items
}

// Texts reads a list of texts that all differ and pass the checks.
func (s *Section) Texts(name string, checks ...Check) []string {
	var texts []string
	for i, item := range s.list(name) {
		key := fmt.Sprintf("%s[%d]", s.path(name), i)
		text, ok := s.reader.text(key, item, checks...)
		if !ok {
			continue
		}
		if slices.Contains(texts, text) {
			s.reader.problem(item.line, key, "is in the list twice")
			continue
		}
		texts = append(texts, text)
	}
	return texts
}

// Pairs reads all of the section: keys that pass the check, with texts that pass the others; nil for none.
func (s *Section) Pairs(key Check, checks ...Check) map[string]string {
	var pairs map[string]string
	for _, name := range s.names {
		if problem := key(name); problem != "" {
			s.Problem(name, problem)
			continue
		}
		text, ok := s.reader.text(s.path(name), s.entries[name], checks...)
		if !ok {
			continue
		}
		if pairs == nil {
			pairs = map[string]string{}
		}
		pairs[name] = text
	}
	return pairs
}

// text reads a text that is not a secret. It may be ${NAME} as a whole.
func (r *reader) text(key string, e entry, checks ...Check) (string, bool) {
	text, ok := plainText(e.value)
	if !ok {
		r.problem(e.line, key, unexpected(e.value, "must be text (put numbers and true/false in quotes)"))
		return "", false
	}
	text, problem := r.expand(text)
	if problem == "" {
		problem = firstProblem(text, append([]Check{notEmpty}, checks...))
	}
	if problem != "" {
		r.problem(e.line, key, problem)
		return "", false
	}
	return text, true
}

// expand replaces a text that is ${NAME} by that variable.
func (r *reader) expand(text string) (value, problem string) {
	if !strings.Contains(text, "${") {
		return text, ""
	}
	name, ok := variableName(text)
	if !ok {
		return "", "must be ${NAME} as a whole, or contain no ${"
	}
	if value = r.getenv(name); value == "" {
		return "", "the environment variable " + printable(name) + " is not set"
	}
	return value, ""
}

func plainText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}

// unexpected says why a value is of no use: wanted, unless the value is missing or is YAML that kvit
// leaves out (an alias would let two sections differ from what the reader of the file sees).
func unexpected(n ast.Node, wanted string) string {
	switch n := n.(type) {
	case nil:
		return "has no value"
	case *ast.NullNode:
		if n.Token != nil && n.Token.Type == token.ImplicitNullType {
			return "has no value"
		}
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return "uses a YAML anchor, alias or tag, which are not supported: write the value itself"
	}
	return wanted
}
