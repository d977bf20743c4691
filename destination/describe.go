package destination

import (
	"encoding/json"
	"reflect"
	"slices"
)

// payloadObject is the description of the payload, made once of the structs' tags.
var payloadObject = describe(reflect.TypeFor[Payload]())

// object is what is known of one: the members in the order of the struct's fields.
type object struct {
	members  []member
	byLength [][]*member // by the length of their names
}

// member is one that an object may have.
type member struct {
	name  string
	about string
	field int // its index in the struct
	form  string
	read  reader
	inner *object // of an object, or of the entries of a list; nil for other forms
}

// member is the one of that name; nil if there is none. Few names have the same length, so that this
// is quicker than a map.
func (o *object) member(name string) *member {
	if name == "" || len(name) >= len(o.byLength) {
		return nil
	}
	for _, m := range o.byLength[len(name)] {
		if m.name[0] == name[0] && m.name == name {
			return m
		}
	}
	return nil
}

// describe reads the tags of a struct. On a field that they leave unclear it panics, before anything
// has begun.
func describe(t reflect.Type) *object {
	fields := described(t)
	o := &object{members: make([]member, len(fields))}
	for i, field := range fields {
		m := &o.members[i]
		*m = describeField(field)
		if m.name == "" || o.member(m.name) != nil {
			panic("destination: " + field.Name + " needs a member name of its own")
		}
		for len(o.byLength) <= len(m.name) {
			o.byLength = append(o.byLength, nil)
		}
		o.byLength[len(m.name)] = append(o.byLength[len(m.name)], m)
	}
	return o
}

// described are the fields of a struct that are members; one marked "-" is kvit's own.
func described(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for i := range t.NumField() {
		if field := t.Field(i); field.Tag.Get("member") != "-" {
			fields = append(fields, field)
		}
	}
	return fields
}

func describeField(field reflect.StructField) member {
	m := member{name: field.Tag.Get("member"), about: field.Tag.Get("about"), field: field.Index[0], form: formOf(field)}
	switch m.form {
	case "object":
		m.inner = describe(field.Type.Elem())
		m.read = one(m.name, m.inner)
	case "items":
		m.inner = describe(field.Type.Elem())
		m.read = items(m.name, m.inner)
	default:
		m.read = formNamed(m.form).read
	}
	return m
}

// formOf is the name of a field's form: the tag's, or what the type leaves no doubt about.
func formOf(field reflect.StructField) string {
	if form, given := field.Tag.Lookup("form"); given {
		return form
	}
	switch field.Type {
	case reflect.TypeFor[string]():
		return "text"
	case reflect.TypeFor[[]string]():
		return "texts"
	case reflect.TypeFor[Money]():
		return "money"
	case reflect.TypeFor[Quantity]():
		return "quantity"
	case reflect.TypeFor[bool](), reflect.TypeFor[*bool]():
		return "boolean"
	case reflect.TypeFor[*int64]():
		return "count"
	case reflect.TypeFor[json.RawMessage]():
		return "free"
	case reflect.TypeFor[[]Item]():
		return "items"
	}
	if field.Type.Kind() == reflect.Pointer && field.Type.Elem().Kind() == reflect.Struct {
		return "object"
	}
	panic("destination: the type of " + field.Name + " has no form")
}

func formNamed(name string) form {
	i := slices.IndexFunc(forms, func(f form) bool { return f.name == name })
	if i < 0 {
		panic("destination: no form is named " + name)
	}
	return forms[i]
}
