package config

import (
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml/ast"
)

// Shape is what a Node is.
type Shape int

// The shapes.
const (
	TextShape    Shape = iota + 1
	LiteralShape       // a number, true or false
	MappingShape
	ListShape
)

// Node is a value of any shape, for keys below which the operator names what there is.
type Node struct {
	Shape   Shape
	Name    string // its key, within a mapping
	Text    string // of TextShape, and of LiteralShape as JSON has it
	Members []Node // of MappingShape and ListShape, in the order of the file
	Foreign bool   // Text is that of an environment variable

	reader *reader
	key    string
	line   int
}

// maxNodeDepth bounds what is nested; providers' own forms have five levels or so.
const maxNodeDepth = 16

// Problem reports a problem of the value at its line.
func (n Node) Problem(text string) { n.reader.problem(n.line, n.key, text) }

// Member is the value of a mapping under a name.
func (n Node) Member(name string) (Node, bool) {
	for _, m := range n.Members {
		if n.Shape == MappingShape && m.Name == name {
			return m, true
		}
	}
	return Node{}, false
}

// Only reports the members of a mapping that have none of the names, and tells whether there are none.
func (n Node) Only(names ...string) bool {
	good := true
	for _, m := range n.Members {
		known := false
		for _, name := range names {
			known = known || m.Name == name
		}
		if known {
			continue
		}
		good = false
		problem := "is not a known key"
		if near, ok := nearest(m.Name, names); ok {
			problem += fmt.Sprintf(": did you mean %q?", near)
		}
		m.Problem(problem)
	}
	return good
}

// Names are the keys of the section, in the order of the file.
func (s *Section) Names() []string { return append([]string(nil), s.names...) }

// Node reads a key whatever its shape. It is false without the key, and if something in the value is no use:
// that has been reported then.
func (s *Section) Node(name string) (Node, bool) {
	e, ok := s.take(name)
	if !ok {
		return Node{}, false
	}
	return s.reader.node(s.path(name), name, e, maxNodeDepth)
}

func (r *reader) node(key, name string, e entry, depth int) (Node, bool) {
	n := Node{Name: name, reader: r, key: key, line: e.line}
	if depth == 0 {
		n.Problem("is nested too deeply")
		return n, false
	}
	switch v := e.value.(type) {
	case ast.MapNode:
		n.Shape = MappingShape
		return n, r.members(&n, e, depth)
	case *ast.SequenceNode:
		n.Shape = ListShape
		return n, r.entries(&n, v, depth)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		n.Shape, n.Text = LiteralShape, v.GetToken().Value
		if !json.Valid([]byte(n.Text)) {
			n.Problem("must be a number as JSON has it, or text in quotes")
			return n, false
		}
		return n, true
	}
	written, _ := plainText(e.value)
	text, ok := r.text(key, e)
	n.Shape, n.Text, n.Foreign = TextShape, text, text != written
	return n, ok
}

// members also finds the mistake that {customer.email} without quotes is: YAML takes it for a mapping.
func (r *reader) members(n *Node, e entry, depth int) bool {
	s := r.open(n.key, e)
	if len(s.names) == 1 {
		if _, empty := s.entries[s.names[0]].value.(*ast.NullNode); empty {
			n.Problem("must be in quotes if it begins with {")
			return false
		}
	}
	if len(s.names) == 0 {
		n.Problem("is an empty mapping: leave the key out instead")
		return false
	}
	good := true
	for _, name := range s.names {
		member, ok := r.node(s.path(name), name, s.entries[name], depth-1)
		n.Members = append(n.Members, member)
		good = good && ok
	}
	return good
}

func (r *reader) entries(n *Node, list *ast.SequenceNode, depth int) bool {
	if len(list.Values) == 0 {
		n.Problem("is an empty list: leave the key out instead")
		return false
	}
	good := true
	for i, v := range list.Values {
		member, ok := r.node(fmt.Sprintf("%s[%d]", n.key, i), "", entry{line: nodeLine(v), value: v}, depth-1)
		n.Members = append(n.Members, member)
		good = good && ok
	}
	return good
}

// Nearest finds the known word that was probably meant: at most two edits away and not all of it.
func Nearest(word string, known []string) (string, bool) { return nearest(word, known) }
