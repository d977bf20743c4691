package generic

import (
	"net/http"
	"slices"

	"kvit/config"
)

// readTemplate takes what comes from the environment as it is.
func readTemplate(n config.Node, source string, within over) (template, bool) {
	if n.Foreign {
		return template{parts: []part{{literal: source}}}, true
	}
	t, problem := parseTemplate(source, within)
	if problem != "" {
		n.Problem(problem)
		return template{}, false
	}
	return t, true
}

var headerName = config.Matches("[A-Za-z0-9!#$%&'*+.^_|~-]+", "is not the name of a header")

// reserved are headers that are made of the rest of the request.
var reserved = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Authorization", "Accept-Encoding", "Trailer", "Te", "Upgrade", "Expect"}

func headers(n config.Node) []field {
	return fields(n, func(name string) string {
		if problem := headerName(name); problem != "" {
			return problem
		}
		if slices.Contains(reserved, http.CanonicalHeaderKey(name)) {
			return "is set by kvit: credentials belong under auth"
		}
		return ""
	})
}

// fields reads the parameters of a query or a form, or headers.
func fields(n config.Node, nameProblem config.Check) (all []field) {
	if n.Shape != config.MappingShape {
		n.Problem("must be a mapping of names to values")
		return nil
	}
	for _, m := range n.Members {
		if nameProblem != nil {
			if problem := nameProblem(m.Name); problem != "" {
				m.Problem(problem)
				continue
			}
		}
		if f, ok := readField(m); ok {
			all = append(all, f)
		}
	}
	return all
}

func readField(n config.Node) (field, bool) {
	f := field{name: template{parts: []part{{literal: n.Name}}}}
	switch n.Shape {
	case config.MappingShape:
		return readEachField(n)
	case config.LiteralShape:
		f.value = template{parts: []part{{literal: n.Text}}}
		return f, true
	case config.ListShape:
		n.Problem("must be text, or a mapping with each and value")
		return field{}, false
	}
	t, ok := readTemplate(n, n.Text, nothing)
	if ok && t.isList() {
		n.Problem("is a list: add join(','), or write a mapping with each and value")
		return field{}, false
	}
	f.value = t
	return f, ok
}

// each is what a mapping with the key each says.
type each struct {
	list  list
	value config.Node
	join  *string
}

func readEach(n config.Node) (e each, ok bool) {
	path, has := n.Member("each")
	if !has {
		n.Problem("must be text, or a mapping with each and value")
		return each{}, false
	}
	if path.Shape != config.TextShape {
		path.Problem("must be the path of a list, such as order.items")
		return each{}, false
	}
	if !n.Only("each", "value", "join") {
		return each{}, false
	}
	l, problem := findList(path.Text)
	if problem != "" {
		path.Problem(problem)
		return each{}, false
	}
	e.list = l
	if e.value, has = n.Member("value"); !has {
		n.Problem("needs a value: what is made of each entry")
		return each{}, false
	}
	join, joined := n.Member("join")
	if joined && join.Shape != config.TextShape {
		join.Problem("must be text")
		return each{}, false
	}
	if joined {
		e.join = &join.Text
	}
	return e, true
}

func readEachField(n config.Node) (field, bool) {
	e, ok := readEach(n)
	if !ok {
		return field{}, false
	}
	if e.value.Shape != config.TextShape {
		e.value.Problem("must be text")
		return field{}, false
	}
	value, ok := readTemplate(e.value, e.value.Text, e.list.within)
	if !ok {
		return field{}, false
	}
	if value.isList() {
		e.value.Problem("is a list: add join(',')")
		return field{}, false
	}
	within := e.list.within
	if e.join != nil {
		within = nothing // the name stands for all entries
	}
	name, problem := parseTemplate(n.Name, within)
	if problem != "" {
		n.Problem("its name " + problem)
		return field{}, false
	}
	return field{name: name, value: value, each: &e.list, join: e.join}, true
}

// readJSON reads a body, or a part of it; nil if something is wrong with it.
func readJSON(n config.Node, within over, into *request) node {
	switch n.Shape {
	case config.LiteralShape:
		return literalNode(n.Text)
	case config.ListShape:
		var entries listNode
		for _, m := range n.Members {
			entries = append(entries, readJSON(m, within, into))
		}
		return entries
	case config.MappingShape:
		if _, repeats := n.Member("each"); repeats {
			return readEachJSON(n, within, into)
		}
		var members objectNode
		for _, m := range n.Members {
			members = append(members, namedNode{quoted(m.Name), readJSON(m, within, into)})
		}
		return members
	}
	t, ok := readTemplate(n, n.Text, within)
	if !ok {
		return nil
	}
	into.jsonUses = append(into.jsonUses, t.uses...)
	return textNode{t}
}

func readEachJSON(n config.Node, within over, into *request) node {
	if within != nothing {
		n.Problem("must not stand within another each")
		return nil
	}
	e, ok := readEach(n)
	if !ok {
		return nil
	}
	if e.join == nil {
		return eachNode{e.list, readJSON(e.value, e.list.within, into)}
	}
	if e.value.Shape != config.TextShape {
		e.value.Problem("must be text, since join makes a text of the entries")
		return nil
	}
	t, ok := readTemplate(e.value, e.value.Text, e.list.within)
	if !ok {
		return nil
	}
	into.jsonUses = append(into.jsonUses, t.uses...)
	return joinNode{e.list, t, *e.join}
}
