package generic

import "kvit/destination"

// node is a part of a JSON body. write appends it, and is false if there is nothing to write: a value is missing,
// or all of an object's members are.
type node interface {
	write(to []byte, s scope) ([]byte, bool)
}

// textNode is what a template gives, with the form of a value that stands alone in it.
type textNode struct{ template template }

func (n textNode) write(to []byte, s scope) ([]byte, bool) {
	v := n.template.of(s)
	if !v.known {
		return to, false
	}
	return v.appendJSON(to), true
}

// literalNode is a number, true or false.
type literalNode string

func (n literalNode) write(to []byte, _ scope) ([]byte, bool) { return append(to, n...), true }

type objectNode []namedNode

type namedNode struct {
	name string // as JSON, with quotes
	node node
}

func (n objectNode) write(to []byte, s scope) ([]byte, bool) {
	start := len(to)
	to = append(to, '{')
	empty := true
	for _, m := range n {
		before := len(to)
		if !empty {
			to = append(to, ',')
		}
		to = append(append(to, m.name...), ':')
		written, ok := m.node.write(to, s)
		if !ok {
			to = to[:before]
			continue
		}
		to, empty = written, false
	}
	if empty {
		return to[:start], false
	}
	return append(to, '}'), true
}

type listNode []node

func (n listNode) write(to []byte, s scope) ([]byte, bool) {
	return writeList(to, len(n), func(to []byte, i int) ([]byte, bool) { return n[i].write(to, s) })
}

// eachNode is a list of what its node gives for each entry.
type eachNode struct {
	each list
	node node
}

func (n eachNode) write(to []byte, s scope) ([]byte, bool) {
	entries := n.each.scopes(s)
	return writeList(to, len(entries), func(to []byte, i int) ([]byte, bool) { return n.node.write(to, entries[i]) })
}

// joinNode is a text of what its template gives for each entry.
type joinNode struct {
	each     list
	template template
	between  string
}

func (n joinNode) write(to []byte, s scope) ([]byte, bool) {
	v := joinEach(n.template, n.each, n.between, s)
	if !v.known {
		return to, false
	}
	return v.appendJSON(to), true
}

func writeList(to []byte, length int, write func(to []byte, i int) ([]byte, bool)) ([]byte, bool) {
	start := len(to)
	to = append(to, '[')
	empty := true
	for i := range length {
		before := len(to)
		if !empty {
			to = append(to, ',')
		}
		written, ok := write(to, i)
		if !ok {
			to = to[:before]
			continue
		}
		to, empty = written, false
	}
	if empty {
		return to[:start], false
	}
	return append(to, ']'), true
}

// body is the whole of a JSON body; {} if nothing is known.
func body(n node, s scope) []byte {
	written, ok := n.write(nil, s)
	if !ok {
		return []byte("{}")
	}
	return written
}

func quoted(name string) string { return string(destination.JSON(name)) }
