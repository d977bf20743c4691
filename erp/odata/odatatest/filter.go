package odatatest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// condition is one comparison of a filter.
type condition struct {
	field, operator string
	value           any // string, int64 or time.Time
}

// filtered evaluates a filter: comparisons with eq and ge, all of them joined by "or".
func (s *Server) filtered(rows []Row, filter string) ([]Row, *refusal) {
	list := []Row{}
	if filter == "" || s.Unfiltered {
		return append(list, rows...), nil
	}
	conditions, err := s.parse(filter)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "BadRequest_InvalidFilter", err.Error())
	}
	for _, c := range conditions {
		if s.OneField && c.field != conditions[0].field {
			return nil, refuse(http.StatusBadRequest, "BadRequest_MethodNotImplemented", "An OR between several fields is not supported.")
		}
	}
	matches, names := s.matches(conditions), fields(conditions)
	for _, r := range rows {
		for _, name := range names {
			if _, known := r[name]; !known && !s.Sparse {
				return nil, refuse(http.StatusBadRequest, "BadRequest", "Could not find a property named "+name)
			}
		}
		if matches(r) {
			list = append(list, r)
		}
	}
	return list, nil
}

// fields are those of the conditions, each once: as a rule it is one.
func fields(conditions []condition) []string {
	var names []string
	for _, c := range conditions {
		if !slices.Contains(names, c.field) {
			names = append(names, c.field)
		}
	}
	return names
}

// matches tells of a row whether one of the conditions holds. Texts of one field are looked up, as an ERP does by its index: there are
// dozens in a filter, and thousands of rows.
func (s *Server) matches(conditions []condition) func(Row) bool {
	wanted := map[string]bool{}
	for _, c := range conditions {
		text, ok := c.value.(string)
		if !ok || c.operator != "eq" || c.field != conditions[0].field || s.Prefixes {
			return func(r Row) bool {
				return slices.ContainsFunc(conditions, func(c condition) bool { return s.holds(r, c) })
			}
		}
		if c.field == s.Upper {
			text = strings.ToUpper(text)
		}
		wanted[text] = true
	}
	return func(r Row) bool {
		text, ok := r[conditions[0].field].(string)
		return ok && wanted[text]
	}
}

func (s *Server) holds(r Row, c condition) bool {
	switch want := c.value.(type) {
	case string:
		have, ok := r[c.field].(string)
		if c.field == s.Upper {
			want = strings.ToUpper(want)
		}
		return ok && c.operator == "eq" && (have == want || s.Prefixes && strings.HasPrefix(have, want))
	case int64:
		return c.operator == "eq" && fmt.Sprint(r[c.field]) == strconv.FormatInt(want, 10)
	case time.Time:
		have, ok := r[c.field].(time.Time)
		if s.Zoneless {
			have = time.Date(have.Year(), have.Month(), have.Day(), have.Hour(), have.Minute(), have.Second(), 0, time.UTC)
		}
		return ok && c.operator == "ge" && !have.Before(want)
	default:
		return false
	}
}

// parse reads a filter from its beginning to its end: text in quotes may hold whatever it likes.
func (s *Server) parse(text string) ([]condition, error) {
	var list []condition
	for {
		field, rest, _ := strings.Cut(text, " ")
		operator, rest, more := strings.Cut(rest, " ")
		if !more || operator != "eq" && operator != "ge" {
			return nil, fmt.Errorf("unknown operator in the filter")
		}
		value, rest, err := s.literal(rest)
		if err != nil {
			return nil, err
		}
		list = append(list, condition{field, operator, value})
		if rest == "" {
			return list, nil
		}
		var joined bool
		if text, joined = strings.CutPrefix(rest, " or "); !joined {
			return nil, fmt.Errorf("the filter goes on with something unknown")
		}
	}
}

func (s *Server) literal(text string) (value any, rest string, err error) {
	if strings.HasPrefix(text, "'") {
		return quoted(text)
	}
	if inner, ok := strings.CutPrefix(text, "datetime"); ok && s.V3 {
		value, rest, err := quoted(inner)
		if err != nil {
			return nil, "", err
		}
		at, err := time.Parse("2006-01-02T15:04:05", fmt.Sprint(value))
		return at, rest, err
	}
	word, rest, _ := strings.Cut(text, " ")
	if rest != "" {
		rest = " " + rest
	}
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return n, rest, nil
	}
	if s.V3 {
		return nil, "", fmt.Errorf("unknown literal")
	}
	at, err := time.Parse(time.RFC3339, word)
	return at, rest, err
}

func quoted(text string) (value any, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), text[i+1:], nil
	}
	return nil, "", fmt.Errorf("a text is not closed")
}
