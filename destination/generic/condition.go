package generic

import (
	"strings"

	"kvit/destination"
)

// condition is what an event must have to be sent.
type condition struct {
	member member
	not    bool   // it must not be there, or not be true, or not be equal
	equals string // what it must be, if hasEquals
	has    bool
}

// parseCondition reads "client.awc", "not customer.is_new", "custom.channel = awin" and "custom.channel != awin".
func parseCondition(source string) (c condition, problem string) {
	rest, not := strings.CutPrefix(strings.TrimSpace(source), "not ")
	c.not = not
	path, equals, has := strings.Cut(rest, "=")
	if path, ok := strings.CutSuffix(path, "!"); ok && has {
		if not {
			return condition{}, "has two negations"
		}
		c.not = true
		rest = path
	} else if has {
		rest = path
	}
	c.has, c.equals = has, strings.Trim(strings.TrimSpace(equals), `'"`)
	m, problem := findMember(strings.TrimSpace(rest), nothing)
	if problem != "" && !has {
		if whole, ok := findPresence(strings.TrimSpace(rest)); ok {
			m, problem = whole, ""
		}
	}
	if problem != "" {
		return condition{}, shown(strings.TrimSpace(rest)) + ": " + problem
	}
	c.member = m
	return c, ""
}

// reject says why an event is not sent; nil if the condition holds.
func (c condition) reject(s scope) *destination.Error {
	v := c.member.get(s)
	holds := v.known && v.text != "false"
	if c.has {
		holds = v.known && v.text == c.equals
	}
	switch {
	case holds != c.not:
		return nil
	case c.not:
		return destination.Reject("%s: is what the destination's when excludes", c.member.path)
	case c.has:
		return destination.Reject("%s: is not what the destination's when asks for", c.member.path)
	default:
		return destination.Reject("%s: is missing, and the destination's when asks for it", c.member.path)
	}
}
