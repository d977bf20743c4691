package destination

import (
	"bytes"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

// maxDepth keeps the recursion of the JSON reader small; the known members need 4.
const maxDepth = 100

// Reading is how payloads are read that shops write.
type Reading struct {
	// Country is where a national phone number belongs whose customer has no country: ISO 3166-1 alpha-2.
	// Empty: such a number is left out.
	Country string
}

// ParsePayload is Read for a shop of which no country is known.
func ParsePayload(name string, raw []byte) (Payload, *Error) { return Reading{}.Read(name, raw) }

// Read reads the payload of the event called name, as stored in the database. A member in an odd form is
// put right where its meaning is certain, and else left out and noted in Payload.Omitted: it never costs the
// event. Unknown members are passed over, so that a shop may write more than this version knows. No payload
// (empty, JSON null, or the empty list that PHP makes of an empty object) is an empty Payload. The error is
// Rejected, where there is nothing to read at all. The texts of the Payload are parts of raw, which must not be
// changed any more.
func (r Reading) Read(name string, raw []byte) (Payload, *Error) {
	root, rejected := open(name, raw)
	if rejected != nil || !root.Exists() {
		return Payload{}, rejected
	}
	var d decoder
	d.way = d.steps[:0]
	d.object(payloadObject, root, reflect.ValueOf(&d.payload).Elem())
	d.phone(r.Country)
	slices.SortFunc(d.payload.Omitted, func(a, b Omission) int { return strings.Compare(a.Member, b.Member) })
	return d.payload, nil
}

// Readable is what Read would have against the payload as a whole, without reading a member of it: for destinations that pass
// it on as it is stored.
func Readable(name string, raw []byte) *Error {
	_, rejected := open(name, raw)
	return rejected
}

// open gives the object that the payload is; one that does not exist is an empty payload.
func open(name string, raw []byte) (root gjson.Result, rejected *Error) {
	if !IsName(name) {
		return root, Reject("name: is not the name of an event")
	}
	if len(raw) > MaxPayload {
		return root, Reject("payload: must not be larger than 256 KiB")
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return root, nil
	}
	if tooDeep(raw) {
		return root, Reject("payload: must not be nested deeper than %d levels", maxDepth)
	}
	if !gjson.ValidBytes(raw) {
		return root, Reject("payload: must be JSON")
	}
	// A copy would be most of the memory that reading takes.
	text := unsafe.String(&raw[0], len(raw)) //nolint:gosec // raw is not empty, and is not changed any more
	root, ok := objectIn(gjson.Parse(text))
	if !ok {
		return root, Reject("payload: must be an object")
	}
	return root, nil
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

// decoder reads a payload member by member.
type decoder struct {
	payload Payload
	way     []step  // to the value that is being read
	steps   [4]step // where way has its room
}

// step goes from an object to a member, or from a list to one of its entries.
type step struct {
	member string // empty: the entry
	entry  int
}

// object reads the known members of one into the struct that o describes. Where a member is repeated, the
// last one counts, as for every other reader of the same JSON, also if it is null or an empty string.
func (d *decoder) object(o *object, value gjson.Result, into reflect.Value) {
	value.ForEach(func(name, value gjson.Result) bool {
		m := o.member(name.Str)
		if m == nil {
			return true
		}
		field := into.Field(m.field)
		if d.payload.Omitted != nil {
			d.forgive(m.name)
		}
		if value.Type == gjson.Null {
			field.SetZero()
			return true
		}
		if why := m.read(d, value, field); why != "" {
			d.omit(step{member: m.name}, why)
		}
		return true
	})
}

// within reads an object that is one step away.
func (d *decoder) within(s step, o *object, value gjson.Result, into reflect.Value) {
	d.way = append(d.way, s)
	d.object(o, value, into)
	d.way = d.way[:len(d.way)-1]
}

// omit is the one place that decides what follows where a value cannot be read: the member is left out, and
// noted, once for all lines of a list.
func (d *decoder) omit(s step, why string) {
	way := slices.Concat(d.way, []step{s})
	member := memberOf(way)
	if slices.ContainsFunc(d.payload.Omitted, func(o Omission) bool { return o.Member == member }) {
		return
	}
	d.payload.Omitted = append(d.payload.Omitted, Omission{Member: member, Place: place(way), Why: why})
}

// forgive drops what was noted of an earlier writing of a member, and of what that held.
func (d *decoder) forgive(member string) {
	here := place(slices.Concat(d.way, []step{{member: member}}))
	d.payload.Omitted = slices.DeleteFunc(d.payload.Omitted, func(o Omission) bool {
		rest, within := strings.CutPrefix(o.Place, here)
		return within && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
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

// memberOf is a way without the entries of lists: "order.items.quantity".
func memberOf(way []step) string {
	var names []string
	for _, s := range way {
		if s.member != "" {
			names = append(names, s.member)
		}
	}
	return strings.Join(names, ".")
}
