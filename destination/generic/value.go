package generic

import (
	"strings"
	"time"

	"kvit/destination"
)

// form is how a value is written in JSON.
type form int

const (
	text form = iota
	number
	boolean
)

// value is what an expression makes of an event. The zero value is a missing one.
type value struct {
	known bool
	text  string // valid UTF-8
	form  form
	list  []string // of a list that no join has made into a text
}

// textOf is a text of the payload; an empty one counts as missing there.
func textOf(s string) value {
	if s == "" {
		return value{}
	}
	return value{known: true, text: strings.ToValidUTF8(s, "\uFFFD")}
}

func numberOf(decimal string) value {
	if decimal == "" {
		return value{}
	}
	return value{known: true, text: decimal, form: number}
}

func booleanOf(b bool) value {
	if b {
		return value{known: true, text: "true", form: boolean}
	}
	return value{known: true, text: "false", form: boolean}
}

func listOf(texts []string) value {
	if len(texts) == 0 {
		return value{}
	}
	v := value{known: true, list: make([]string, len(texts))}
	for i, t := range texts {
		v.list[i] = strings.ToValidUTF8(t, "\uFFFD")
	}
	return v
}

// appendJSON writes the value with its own form.
func (v value) appendJSON(to []byte) []byte {
	switch {
	case v.list != nil:
		return append(to, destination.JSON(v.list)...)
	case v.form == text:
		return append(to, destination.JSON(v.text)...)
	default:
		return append(to, v.text...)
	}
}

// scope is what an expression is about.
type scope struct {
	event *destination.Event
	item  *destination.Item // of each, over lines
	entry string            // of each, over texts
	n     int               // of each: the entry's number, from 1
}

func timeOf(t time.Time) value { return textOf(t.UTC().Format(time.RFC3339Nano)) }
