package generic

import (
	"fmt"
	"slices"
	"strings"

	"kvit/config"
)

// expression is what stands between braces: a member of the event, and functions that it goes through.
type expression struct {
	first argument
	steps []step
	list  bool // its value is a list
}

func (e *expression) of(s scope) value {
	v := e.first.of(s)
	for _, step := range e.steps {
		if v.known || step.missing {
			v = step.apply(s, v)
		}
	}
	return v
}

// part of a template is text as it stands, or an expression.
type part struct {
	literal string
	expr    *expression
}

// template is a text with expressions in it. If one of them has no value, neither has the text.
type template struct {
	parts []part
	uses  []string // paths of the members that it names
}

// parseTemplate reads a template that stands within an each over something. {{ and }} are single braces.
func parseTemplate(source string, within over) (t template, problem string) {
	literal := ""
	for source != "" {
		next := strings.IndexAny(source, "{}")
		if next < 0 {
			next = len(source)
		}
		literal, source = literal+source[:next], source[next:]
		switch {
		case source == "":
		case strings.HasPrefix(source, "{{"), strings.HasPrefix(source, "}}"):
			literal, source = literal+source[:1], source[2:]
		case source[0] == '}':
			return template{}, "has a } without a {; a brace by itself is written twice"
		default:
			rest, uses, expr, problem := parseExpression(source[1:], within)
			if problem != "" {
				return template{}, problem
			}
			if literal != "" {
				t.parts = append(t.parts, part{literal: literal})
			}
			t.parts, t.uses = append(t.parts, part{expr: expr}), append(t.uses, uses...)
			literal, source = "", rest
		}
	}
	if literal != "" {
		t.parts = append(t.parts, part{literal: literal})
	}
	return t, t.listProblem()
}

func (t template) listProblem() string {
	for _, p := range t.parts {
		if p.expr != nil && p.expr.list && len(t.parts) > 1 {
			return "has a list within a text: add join(',')"
		}
	}
	return ""
}

// isList tells whether the value is a list, which can stand in JSON alone.
func (t template) isList() bool {
	return len(t.parts) == 1 && t.parts[0].expr != nil && t.parts[0].expr.list
}

// isFixed tells whether the text is the same for every event.
func (t template) isFixed() bool {
	return !slices.ContainsFunc(t.parts, func(p part) bool { return p.expr != nil })
}

// names are the members that the template names, for a reason.
func (t template) names() string { return config.JoinOr(slices.Compact(slices.Clone(t.uses))) }

// of gives the value: of an expression alone its own, else a text.
func (t template) of(s scope) value {
	if len(t.parts) == 1 && t.parts[0].expr != nil {
		return t.parts[0].expr.of(s)
	}
	written, missing := t.write(s, func(text string) string { return text })
	return value{known: !missing, text: written}
}

// write gives the text with each value escaped; missing: one of them has none.
func (t template) write(s scope, escape func(string) string) (written string, missing bool) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.expr == nil {
			b.WriteString(p.literal)
			continue
		}
		v := p.expr.of(s)
		if !v.known {
			return "", true
		}
		b.WriteString(escape(v.text))
	}
	return b.String(), false
}

// parser reads one expression.
type parser struct {
	rest   string
	within over
	uses   []string
}

// parseExpression reads up to the brace at the end.
func parseExpression(source string, within over) (rest string, uses []string, e *expression, problem string) {
	p := &parser{rest: source, within: within}
	e = &expression{}
	var m *member
	if e.first, m, problem = p.operand(); problem != "" {
		return "", nil, nil, problem
	}
	e.list = m != nil && m.isList
	for p.skip("|") {
		name := p.name()
		makeStep, known := functions[name]
		if !known {
			return "", nil, nil, unknownFunction(name)
		}
		arguments, problem := p.arguments()
		if problem != "" {
			return "", nil, nil, name + ": " + problem
		}
		made, problem := makeStep(arguments)
		if problem != "" {
			return "", nil, nil, name + " " + problem
		}
		if made.lists != e.list && !made.missing {
			return "", nil, nil, name + listMistake(e.list)
		}
		e.list = e.list && made.missing
		e.steps = append(e.steps, made)
	}
	if !p.skip("}") {
		return "", nil, nil, "has a { that is not closed, or something between the members and functions of its expression"
	}
	return p.rest, p.uses, e, ""
}

func listMistake(isList bool) string {
	if isList {
		return " cannot be used on a list: add join(',') before it"
	}
	return " is for lists alone"
}

func (p *parser) skip(token string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(p.rest, " "), token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *parser) name() string {
	p.rest = strings.TrimLeft(p.rest, " ")
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_.:-", r) || r > 0x7f)
	})
	if end < 0 {
		end = len(p.rest)
	}
	name := p.rest[:end]
	p.rest = p.rest[end:]
	return name
}

// operand is a text in quotes, a number or a member.
func (p *parser) operand() (argument, *member, string) {
	p.rest = strings.TrimLeft(p.rest, " ")
	if p.rest != "" && (p.rest[0] == '\'' || p.rest[0] == '"') {
		quoted, rest, closed := strings.Cut(p.rest[1:], p.rest[:1])
		if !closed {
			return argument{}, nil, "has a text whose quote is not closed"
		}
		p.rest = rest
		return argument{value: value{known: true, text: quoted}}, nil, ""
	}
	name := p.name()
	if _, ok := amount(name); ok {
		return argument{value: numberOf(name)}, nil, ""
	}
	if name == "" {
		return argument{}, nil, "has an expression without a member of the event, such as order.ref"
	}
	m, problem := findMember(name, p.within)
	if problem != "" {
		return argument{}, nil, fmt.Sprintf("%s: %s", shown(name), problem)
	}
	p.uses = append(p.uses, m.path)
	return argument{member: &m}, &m, ""
}

func (p *parser) arguments() (all []argument, problem string) {
	if !p.skip("(") {
		return nil, ""
	}
	for !p.skip(")") {
		if len(all) > 0 && !p.skip(",") {
			return nil, "needs commas between what is in its brackets, and a bracket at the end"
		}
		a, m, problem := p.operand()
		if problem != "" {
			return nil, problem
		}
		if m != nil && m.isList {
			return nil, "takes no list"
		}
		all = append(all, a)
	}
	return all, ""
}

// shown keeps a strange name from filling the message.
func shown(name string) string {
	if len(name) > 64 {
		name = name[:64] + "..."
	}
	return fmt.Sprintf("%q", name)
}
