package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
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

// Section is one mapping of the file. Its methods read a key each, report what is wrong with it and then
// return the fallback, so that reading goes on. Finish reports the keys that nothing asked for. A text may
// be ${NAME} as a whole, which stands for that environment variable.
type Section struct {
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
func (r *reader) open(key string, e entry) *Section {
	s := &Section{reader: r, key: key, line: e.line, present: true, entries: map[string]entry{}}
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

func (s *Section) add(key ast.MapKeyNode, value ast.Node) {
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

func (s *Section) path(name string) string {
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

func (s *Section) take(name string) (entry, bool) {
	s.asked = append(s.asked, name)
	s.reader.asked[s.path(name)] = true
	e, ok := s.entries[name]
	if ok {
		s.reader.lines[s.path(name)] = e.line
	}
	return e, ok
}

// Problem reports a problem of one key at its line, or at the section's if the key is not there.
func (s *Section) Problem(name, text string) {
	line := s.line
	if e, ok := s.entries[name]; ok {
		line = e.line
	}
	s.reader.problem(line, s.path(name), text)
}

// Require reports a key that is not there, and tells whether it is. A section that is no mapping has been
// reported already.
func (s *Section) Require(name string) bool {
	if _, ok := s.take(name); ok {
		return true
	}
	if !s.broken {
		s.Problem(name, "is missing")
	}
	return false
}

// ProblemHere reports a problem of the section as a whole.
func (s *Section) ProblemHere(text string) { s.reader.problem(s.line, s.key, text) }

// Faulty tells whether a problem of the key is known, so that nothing is concluded from its value. All
// keys of a section that is no mapping are.
func (s *Section) Faulty(name string) bool { return s.broken || s.reader.faulty(s.path(name)) }

// Len is how many keys the file has in the section.
func (s *Section) Len() int { return len(s.names) }

// Present tells whether the file has the section.
func (s *Section) Present() bool { return s.present }

// Has tells whether the file has the key.
func (s *Section) Has(name string) bool {
	_, ok := s.entries[name]
	return ok
}

// Section reads a key that holds further keys. Without the key it is an empty one, which is not Present.
func (s *Section) Section(name string) *Section {
	e, ok := s.take(name)
	if !ok {
		return &Section{reader: s.reader, key: s.path(name), line: s.line, broken: s.broken}
	}
	return s.reader.open(s.path(name), e)
}

// Finish reports the keys that nothing has asked for.
func (s *Section) Finish() {
	for _, name := range s.names {
		if slices.Contains(s.asked, name) {
			continue
		}
		problem := "is not a known key"
		if near, ok := nearest(name, s.asked); ok {
			problem += fmt.Sprintf(": did you mean %q?", near)
		}
		s.Problem(name, problem)
	}
}
