package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// reader walks the file and collects problems, so that one run shows them all.
type reader struct {
	getenv   func(string) string
	problems []Problem
	lines    map[string]int  // line of each key that the file has and the reader asked for
	asked    map[string]bool // each key that the reader asked for: the example file must show it
}

func newReader(getenv func(string) string) *reader {
	return &reader{getenv: getenv, lines: map[string]int{}, asked: map[string]bool{}}
}

func (r *reader) problem(line int, key, text string) {
	r.problems = append(r.problems, Problem{Line: line, Key: key, Problem: text})
}

// entry is one value of the file and the line of its key, or of itself in a list.
type entry struct {
	line  int
	value ast.Node
}

// section is one mapping of the file. Its methods read a key each, report what is wrong with it and then
// return the fallback, so that reading goes on. finish reports the keys that nothing asked for.
type section struct {
	reader  *reader
	key     string
	line    int
	present bool
	broken  bool // it is no mapping: reported once, its keys are not missed
	entries map[string]entry
	names   []string // in the order of the file
	asked   []string
}

// open reads the mapping of e. An empty value is an empty mapping, since that is what remains of a
// section whose keys are all comments.
func (r *reader) open(key string, e entry) *section {
	s := &section{reader: r, key: key, line: e.line, present: true, entries: map[string]entry{}}
	switch n := e.value.(type) {
	case nil, *ast.NullNode:
	case ast.MapNode:
		for pairs := n.MapRange(); pairs.Next(); {
			s.add(pairs.Key(), pairs.Value())
		}
	default:
		s.broken = true
		r.problem(e.line, key, unexpected(n, "must be a mapping of keys to values"))
	}
	return s
}

func (s *section) add(key ast.MapKeyNode, value ast.Node) {
	line := nodeLine(key)
	name, ok := keyName(key)
	if !ok {
		s.reader.problem(line, s.key, "has a key that is not plain text (anchors, merge keys and tags are not supported)")
		return
	}
	if first, twice := s.entries[name]; twice {
		s.reader.problem(line, s.path(name), fmt.Sprintf("is written twice, first on line %d", first.line))
		return
	}
	s.entries[name] = entry{line: line, value: value}
	s.names = append(s.names, name)
}

func keyName(key ast.MapKeyNode) (string, bool) {
	switch n := key.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func (s *section) path(name string) string {
	if s.key == "" {
		return printable(name)
	}
	return s.key + "." + printable(name)
}

// printable keeps a strange key from breaking the one line that each problem has.
func printable(name string) string {
	const longest = 64
	plain := func(c rune) bool { return c > ' ' && c < 0x7f }
	if name != "" && len(name) <= longest && !strings.ContainsFunc(name, func(c rune) bool { return !plain(c) }) {
		return name
	}
	if len(name) > longest {
		name = name[:longest] + "..."
	}
	return strconv.QuoteToASCII(name)
}

func (s *section) take(name string) (entry, bool) {
	s.asked = append(s.asked, name)
	s.reader.asked[s.path(name)] = true
	e, ok := s.entries[name]
	if ok {
		s.reader.lines[s.path(name)] = e.line
	}
	return e, ok
}

// problem reports a problem of one key at its line, or at the section's if the key is not there.
func (s *section) problem(name, text string) {
	line := s.line
	if e, ok := s.entries[name]; ok {
		line = e.line
	}
	s.reader.problem(line, s.path(name), text)
}

// require reports a key that is not there. A section that is no mapping has been reported already.
func (s *section) require(name string) bool {
	if _, ok := s.take(name); ok {
		return true
	}
	if !s.broken {
		s.problem(name, "is missing")
	}
	return false
}

// section reads a key that holds further keys; present says whether it is there.
func (s *section) section(name string) *section {
	e, ok := s.take(name)
	if !ok {
		return &section{reader: s.reader, key: s.path(name), line: s.line, broken: s.broken}
	}
	return s.reader.open(s.path(name), e)
}

func (s *section) text(name, fallback string, checks ...check) string {
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

func (s *section) requiredText(name string, checks ...check) string {
	s.require(name)
	return s.text(name, "", checks...)
}

func (s *section) choice(name, fallback string, options ...string) string {
	return s.text(name, fallback, oneOf(options...))
}

func (s *section) duration(name string, fallback, least, most time.Duration) time.Duration {
	limits := fmt.Sprintf("from %s to %s", FormatDuration(least), FormatDuration(most))
	return s.durationWhere(name, fallback, func(d time.Duration) bool { return d >= least && d <= most }, limits)
}

// durationOrOff is duration where 0 switches something off.
func (s *section) durationOrOff(name string, fallback, least, most time.Duration) time.Duration {
	limits := fmt.Sprintf("0 or from %s to %s", FormatDuration(least), FormatDuration(most))
	return s.durationWhere(name, fallback, func(d time.Duration) bool { return d == 0 || d >= least && d <= most }, limits)
}

func (s *section) durationWhere(name string, fallback time.Duration, within func(time.Duration) bool, limits string) time.Duration {
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
		s.problem(name, problem)
		return fallback
	}
	return d
}

// optionalDuration reads a duration whose absence has a meaning of its own; 0 is a value.
func (s *section) optionalDuration(name string) *time.Duration {
	if _, ok := s.entries[name]; !ok {
		s.take(name)
		return nil
	}
	return new(s.duration(name, 0, 0, aCentury))
}

// durationText also takes a number, to say that its unit is missing; only 0 needs none.
func (r *reader) durationText(key string, e entry) (string, bool) {
	switch n := e.value.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return r.text(key, e)
}

func (s *section) integer(name string, fallback, least, most int) int {
	e, ok := s.take(name)
	if !ok {
		return fallback
	}
	n, ok := e.value.(*ast.IntegerNode)
	if !ok {
		s.problem(name, unexpected(e.value, "must be a whole number, without quotes"))
		return fallback
	}
	value, ok := wholeNumber(n)
	if !ok || value < least || value > most {
		s.problem(name, fmt.Sprintf("must be from %d to %d", least, most))
		return fallback
	}
	return value
}

// share reads a part of a whole, from 0 to 1.
func (s *section) share(name string, fallback float64) float64 {
	e, ok := s.take(name)
	if !ok {
		return fallback
	}
	value, ok := number(e.value)
	if !ok {
		s.problem(name, unexpected(e.value, "must be a number, without quotes"))
		return fallback
	}
	if value < 0 || value > 1 {
		s.problem(name, "must be from 0 to 1")
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

func (s *section) boolean(name string, fallback bool) bool {
	e, ok := s.take(name)
	if !ok {
		return fallback
	}
	n, ok := e.value.(*ast.BoolNode)
	if !ok {
		s.problem(name, unexpected(e.value, "must be true or false"))
		return fallback
	}
	return n.Value
}

// list reads the items of a key; none if it is not there.
func (s *section) list(name string) []entry {
	e, ok := s.take(name)
	if !ok {
		return nil
	}
	n, ok := e.value.(*ast.SequenceNode)
	if !ok {
		s.problem(name, unexpected(e.value, "must be a list"))
		return nil
	}
	if len(n.Values) == 0 {
		s.problem(name, "is an empty list: leave the key out instead")
	}
	items := make([]entry, 0, len(n.Values))
	for _, v := range n.Values {
		items = append(items, entry{line: nodeLine(v), value: v})
	}
	return items
}

// texts reads a list of texts that all differ.
func (s *section) texts(name string, checks ...check) []string {
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

// finish reports the keys that nothing has asked for.
func (s *section) finish() {
	for _, name := range s.names {
		if slices.Contains(s.asked, name) {
			continue
		}
		problem := "is not a known key"
		if near, ok := nearest(name, s.asked); ok {
			problem += fmt.Sprintf(": did you mean %q?", near)
		}
		s.problem(name, problem)
	}
}

// text reads a text that is not a secret. It may be ${NAME} as a whole.
func (r *reader) text(key string, e entry, checks ...check) (string, bool) {
	text, ok := plainText(e.value)
	if !ok {
		r.problem(e.line, key, unexpected(e.value, "must be text (put numbers and true/false in quotes)"))
		return "", false
	}
	text, problem := r.expand(text)
	if problem == "" {
		problem = firstProblem(text, append([]check{notEmpty}, checks...))
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
