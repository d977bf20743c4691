package odata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// row is one document as the ERP has it. Values are decoded when they are asked for: most are never.
type row map[string]json.RawMessage

// text is a field as text: a number in its own digits, true or false; empty if it is null, an object, or not there.
func (r row) text(field string) string {
	raw := bytes.TrimSpace(r[field])
	if field == "" || len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return ""
		}
		return text
	case '{', '[', 'n':
		return ""
	default:
		return string(raw)
	}
}

// lines is how many lines a document has, comments left out; 0: not known.
func (r row) lines(c collection) int {
	if c.Lines == "" {
		return 0
	}
	if !c.Expanded {
		n, err := strconv.Atoi(r.text(c.Lines))
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	var lines []row
	if _, more := r[c.Lines+"@odata.nextLink"]; more || json.Unmarshal(r[c.Lines], &lines) != nil {
		return 0 // not all of them are here
	}
	n := 0
	for _, line := range lines {
		if !strings.EqualFold(strings.TrimSpace(line.text("lineType")), "Comment") {
			n++
		}
	}
	return n
}

// key tells the row from others of its collection.
func (r row) key(c collection) string {
	var b strings.Builder
	for _, f := range c.fields() {
		fmt.Fprintf(&b, "%s\x00", r[f])
	}
	return b.String()
}

// page is an answer: rows in "value", in "d.results" of older servers, alone in a plain list, or one row by itself.
type page struct {
	rows []row
	next string
	list bool // false: it is one row by itself
}

// UnmarshalJSON reads an answer of any of these forms.
func (p *page) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		p.list = true
		return json.Unmarshal(data, &p.rows)
	}
	var members row
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	if inner, ok := members["d"]; ok {
		return p.UnmarshalJSON(inner)
	}
	for _, name := range []string{"@odata.nextLink", "odata.nextLink", "@nextLink", "__next"} {
		if link := members.text(name); link != "" {
			p.next = link
		}
	}
	for _, name := range []string{"value", "results"} {
		if rows, ok := members[name]; ok && bytes.HasPrefix(bytes.TrimSpace(rows), []byte("[")) {
			p.list = true
			return json.Unmarshal(rows, &p.rows)
		}
	}
	if _, failed := members["error"]; failed || len(members) == 0 {
		return errors.New("no rows")
	}
	p.rows = []row{members}
	return nil
}

var ticks = regexp.MustCompile(`^/Date\((-?[0-9]{1,16})(?:[+-][0-9]{4})?\)/$`)

// parseTime reads a time in the forms that servers have: with a zone, without one, a day, and the /Date(…)/ of older ones.
func parseTime(text string, zone *time.Location) (time.Time, bool) {
	if zone == nil {
		zone = time.UTC
	}
	if m := ticks.FindStringSubmatch(text); m != nil {
		ms, err := strconv.ParseInt(m[1], 10, 64)
		return time.UnixMilli(ms).UTC(), err == nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at.UTC(), true
	}
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, zone); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}
