package destination

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// maxDepth keeps the recursion of the JSON reader small; the known members need 4.
const maxDepth = 100

// ParsePayload checks the payload of the event called name, as stored in the database. It is strict
// about the type and form of known members and passes over unknown ones, so that a shop may write
// more than this version knows. No payload (empty or JSON null) is an empty Payload. The error is
// Rejected; its reason names the field, never its value, nor a member the shop made up.
func ParsePayload(name string, raw []byte) (Payload, *Error) {
	if !IsName(name) {
		return Payload{}, Reject("name: is not the name of an event")
	}
	if len(raw) > MaxPayload {
		return Payload{}, Reject("payload: must not be larger than 256 KiB")
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return Payload{}, nil
	}
	if tooDeep(raw) {
		return Payload{}, Reject("payload: must not be nested deeper than %d levels", maxDepth)
	}
	if !gjson.ValidBytes(raw) {
		return Payload{}, Reject("payload: must be JSON")
	}
	root := gjson.ParseBytes(raw)
	if !root.IsObject() {
		return Payload{}, Reject("payload: must be an object")
	}
	var d decoder
	d.way = d.steps[:0]
	d.object(payloadObject, root, reflect.ValueOf(&d.payload).Elem())
	if d.err != nil {
		return Payload{}, d.err
	}
	return d.payload, nil
}

// tooDeep counts brackets outside strings; where there are few in all, it need not look where.
func tooDeep(raw []byte) bool {
	if bytes.Count(raw, []byte("{"))+bytes.Count(raw, []byte("[")) <= maxDepth {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			inString = !inString
		case inString:
			if c == '\\' {
				i++
			}
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// decoder reads a payload until a member is wrong; the first mistake is kept.
type decoder struct {
	payload Payload
	way     []step  // to the value that is being read
	steps   [4]step // where way has its room
	err     *Error
}

// step goes from an object to a member, or from a list to one of its entries.
type step struct {
	member string // empty: the entry
	entry  int
}

// object reads the known members of one, until one is wrong, into the struct that o describes. Where
// a member is repeated, the last one counts; null leaves the earlier one as it is, but for the objects
// at the top.
func (d *decoder) object(o *object, value gjson.Result, into reflect.Value) {
	value.ForEach(func(name, value gjson.Result) bool {
		m := o.member(name.Str)
		switch {
		case m == nil:
			return true
		case value.Type != gjson.Null:
			if must := m.read(d, value, into.Field(m.field)); must != "" {
				d.mistake(step{member: m.name}, must)
			}
		case len(d.way) == 0:
			into.Field(m.field).SetZero()
		}
		return d.err == nil
	})
}

// within reads an object that is one step away.
func (d *decoder) within(s step, o *object, value gjson.Result, into reflect.Value) {
	d.way = append(d.way, s)
	d.object(o, value, into)
	d.way = d.way[:len(d.way)-1]
}

// mistake is the one place that decides what follows where a value is not what it must be: the event
// is rejected, for a reason that names the value's place.
func (d *decoder) mistake(s step, must string) {
	if d.err == nil {
		d.err = Reject("%s: %s", place(append(d.way, s)), must)
	}
}

// place is a way in words: "order.items[2].quantity".
func place(way []step) string {
	var place strings.Builder
	for i, s := range way {
		switch {
		case s.member == "":
			place.WriteString("[" + strconv.Itoa(s.entry) + "]")
		case i > 0:
			place.WriteString("." + s.member)
		default:
			place.WriteString(s.member)
		}
	}
	return place.String()
}
