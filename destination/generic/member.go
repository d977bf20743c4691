package generic

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"kvit/config"
	"kvit/destination"
)

// member is a place in an event, as an expression names it.
type member struct {
	path   string
	isList bool
	get    func(scope) value
}

// over says what the entries of an each are: lines of an order, or texts.
type over int

const (
	nothing over = iota
	lines
	texts
)

var consentPurpose = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,63}$`)

// findMember reads a path, as it may stand within an each over something; problem says why there is no such member.
func findMember(path string, within over) (m member, problem string) {
	root, rest, _ := strings.Cut(path, ".")
	switch {
	case root == "event":
		return eventMember(path, rest)
	case root == "consent":
		if !consentPurpose.MatchString(rest) {
			return member{}, "consent needs the name of a purpose, as in consent.marketing"
		}
		return member{path: path, get: func(s scope) value { return booleanOf(s.event.Accepts(rest)) }}, ""
	case root == "custom":
		return customMember(path, rest)
	case path == "order.ref":
		return member{path: path, get: func(s scope) value { return textOf(s.event.Reference()) }}, ""
	case root == "item" || path == "n":
		return entryMember(path, rest, within)
	}
	return payloadMember(path)
}

func eventMember(path, name string) (member, string) {
	gets := map[string]func(scope) value{
		"key":  func(s scope) value { return textOf(s.event.Key) },
		"name": func(s scope) value { return textOf(s.event.Name) },
		"uuid": func(s scope) value { return textOf(destination.UUID(s.event.Key).String()) },
		"time": func(s scope) value { return timeOf(s.event.OccurredAt) },
	}
	get, ok := gets[name]
	if !ok {
		return member{}, "event has key, name, uuid and time"
	}
	return member{path: path, get: get}, ""
}

func customMember(path, rest string) (member, string) {
	if rest == "" {
		return member{}, "custom needs the name of a member, as in custom.customer_group"
	}
	at := destination.NewPath(path)
	return member{path: path, get: func(s scope) value { return textOf(at.Text(s.event.Raw)) }}, ""
}

func entryMember(path, rest string, within over) (member, string) {
	switch {
	case within == nothing:
		return member{}, "item and n are known below each alone"
	case path == "n":
		return member{path: path, get: func(s scope) value { return numberOf(strconv.Itoa(s.n)) }}, ""
	case within == texts && path == "item":
		return member{path: path, get: func(s scope) value { return textOf(s.entry) }}, ""
	case within == texts:
		return member{}, "the entries of this list are texts: write {item}"
	case rest == "":
		return member{}, "item needs the name of a member, as in item.sku"
	}
	steps, t, ok := walk(reflect.TypeFor[destination.Item](), strings.Split(rest, "."))
	if !ok {
		return member{}, "is not a member of a line" + suggestion(path, "item", reflect.TypeFor[destination.Item]())
	}
	read := reading(t)
	return member{path: path, get: func(s scope) value { return read(reflect.ValueOf(s.item).Elem().Field(steps[0])) }}, ""
}

func payloadMember(path string) (member, string) {
	steps, t, ok := walk(reflect.TypeFor[destination.Payload](), strings.Split(path, "."))
	if !ok {
		return member{}, "is not a member of the payload" + suggestion(path, "", reflect.TypeFor[destination.Payload]())
	}
	read := reading(t)
	if read == nil {
		return member{}, "is not a single value: name one of its members, or go through it with each"
	}
	return member{path: path, isList: t == reflect.TypeFor[[]string](), get: func(s scope) value {
		field, ok := follow(reflect.ValueOf(&s.event.Payload).Elem(), steps)
		if !ok {
			return value{}
		}
		return read(field)
	}}, ""
}

// findPresence reads the path of an object or of a list of them, which has no value of its own: true if it is there.
func findPresence(path string) (member, bool) {
	steps, _, ok := walk(reflect.TypeFor[destination.Payload](), strings.Split(path, "."))
	return member{path: path, get: func(s scope) value {
		field, ok := follow(reflect.ValueOf(&s.event.Payload).Elem(), steps)
		if !ok || field.IsZero() || field.Kind() == reflect.Slice && field.Len() == 0 {
			return value{}
		}
		return booleanOf(true)
	}}, ok
}

// walk finds the fields that lead to a member.
func walk(t reflect.Type, names []string) (steps []int, found reflect.Type, ok bool) {
	for _, name := range names {
		if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
			t = t.Elem()
		}
		field, ok := fieldNamed(t, name)
		if !ok {
			return nil, nil, false
		}
		steps, t = append(steps, field.Index[0]), field.Type
	}
	return steps, t, true
}

func fieldNamed(t reflect.Type, name string) (reflect.StructField, bool) {
	if t.Kind() != reflect.Struct || name == "-" {
		return reflect.StructField{}, false
	}
	for i := range t.NumField() {
		if field := t.Field(i); field.Tag.Get("member") == name {
			return field, true
		}
	}
	return reflect.StructField{}, false
}

// follow is false where an object on the way was left out.
func follow(v reflect.Value, steps []int) (reflect.Value, bool) {
	for i, step := range steps {
		if i > 0 {
			if v.IsNil() {
				return reflect.Value{}, false
			}
			v = v.Elem()
		}
		v = v.Field(step)
	}
	return v, true
}

// reading is how a field of a type is read; nil for objects and lists of them.
func reading(t reflect.Type) func(reflect.Value) value {
	switch t {
	case reflect.TypeFor[string]():
		return func(v reflect.Value) value { return textOf(v.String()) }
	case reflect.TypeFor[destination.Money]():
		return func(v reflect.Value) value { return textOf(string(destination.Money(v.String()).JSON())) }
	case reflect.TypeFor[destination.Quantity]():
		return func(v reflect.Value) value { return numberOf(string(destination.Quantity(v.String()).JSON())) }
	case reflect.TypeFor[bool]():
		return func(v reflect.Value) value { return booleanOf(v.Bool()) }
	case reflect.TypeFor[*bool]():
		return unlessNil(func(v reflect.Value) value { return booleanOf(v.Bool()) })
	case reflect.TypeFor[*int64]():
		return unlessNil(func(v reflect.Value) value { return numberOf(strconv.FormatInt(v.Int(), 10)) })
	case reflect.TypeFor[[]string]():
		return func(v reflect.Value) value { return listOf(v.Interface().([]string)) }
	}
	return nil
}

func unlessNil(read func(reflect.Value) value) func(reflect.Value) value {
	return func(v reflect.Value) value {
		if v.IsNil() {
			return value{}
		}
		return read(v.Elem())
	}
}

// list is what an each goes through.
type list struct {
	within over
	scopes func(scope) []scope
}

// findList reads the path of an each.
func findList(path string) (list, string) {
	steps, t, ok := walk(reflect.TypeFor[destination.Payload](), strings.Split(path, "."))
	if !ok {
		return list{}, "is not a member of the payload" + suggestion(path, "", reflect.TypeFor[destination.Payload]())
	}
	field := func(s scope) (reflect.Value, bool) { return follow(reflect.ValueOf(&s.event.Payload).Elem(), steps) }
	switch t {
	case reflect.TypeFor[[]destination.Item]():
		return list{within: lines, scopes: func(s scope) (all []scope) {
			if v, ok := field(s); ok {
				items := v.Interface().([]destination.Item)
				for i := range items {
					all = append(all, scope{event: s.event, item: &items[i], n: i + 1})
				}
			}
			return all
		}}, ""
	case reflect.TypeFor[[]string]():
		return list{within: texts, scopes: func(s scope) (all []scope) {
			if v, ok := field(s); ok {
				for i, entry := range v.Interface().([]string) {
					all = append(all, scope{event: s.event, entry: entry, n: i + 1})
				}
			}
			return all
		}}, ""
	}
	return list{}, "is not a list: each goes through one such as order.items or customer.tags"
}

// suggestion names the member that was probably meant.
func suggestion(path, prefix string, t reflect.Type) string {
	near, ok := config.Nearest(path, paths(prefix, t))
	if !ok {
		return ""
	}
	return "; did you mean " + near + "?"
}

func paths(prefix string, t reflect.Type) (all []string) {
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("member")
		if name == "-" {
			continue
		}
		if prefix != "" {
			name = prefix + "." + name
		}
		if inner := t.Field(i).Type; inner.Kind() == reflect.Pointer && inner.Elem().Kind() == reflect.Struct {
			all = append(all, paths(name, inner.Elem())...)
			continue
		}
		all = append(all, name)
	}
	return all
}
