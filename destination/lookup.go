package destination

import (
	"strings"

	"github.com/tidwall/gjson"
)

// Path leads to a member of a payload, "custom.customer_group" for instance, whatever it is called.
type Path struct{ query string }

// NewPath reads a path of names divided by full stops; a name in a list is a number from 0.
func NewPath(dotted string) Path {
	names := strings.Split(dotted, ".")
	for i, name := range names {
		names[i] = gjson.Escape(name)
	}
	return Path{query: strings.Join(names, ".")}
}

// Text returns the member as text: a string as it is, a number as written, true and false as 1 and 0.
// It is empty if there is no such member, or if that is null, a list or an object.
func (p Path) Text(payload []byte) string {
	value := gjson.GetBytes(payload, p.query)
	switch value.Type {
	case gjson.String:
		return value.Str
	case gjson.Number:
		return value.Raw
	case gjson.True:
		return "1"
	case gjson.False:
		return "0"
	default:
		return ""
	}
}
