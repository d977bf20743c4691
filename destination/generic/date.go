package generic

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const dateHelp = "takes a form and maybe a time zone, as in date('YYYY-MM-DD HH:mm:ss', 'Europe/Copenhagen'); the form may be iso, unix or unix_ms as well"

func date(arguments []argument) (step, string) {
	if len(arguments) < 1 || len(arguments) > 2 || slices.ContainsFunc(arguments, func(a argument) bool { return !a.isText() }) {
		return step{}, dateHelp
	}
	write, ok := dateForm(arguments[0].value.text)
	if !ok {
		return step{}, dateHelp
	}
	zone := time.UTC
	if len(arguments) == 2 {
		var err error
		if zone, err = time.LoadLocation(arguments[1].value.text); err != nil || zone == time.Local {
			return step{}, "does not know this time zone"
		}
	}
	return step{apply: func(_ scope, v value) value {
		if day, err := time.Parse(time.DateOnly, v.text); err == nil {
			return write(day)
		}
		at, err := time.Parse(time.RFC3339, v.text)
		if err != nil {
			return value{}
		}
		return write(at.In(zone))
	}}, ""
}

var dateParts = strings.NewReplacer("YYYY", "2006", "YY", "06", "MM", "01", "DD", "02", "HH", "15", "mm", "04", "ss", "05", "ZZ", "-07:00")

// dateForm reads YYYY-MM-DD and the like.
func dateForm(form string) (write func(time.Time) value, ok bool) {
	switch form {
	case "iso":
		return func(t time.Time) value { return textOf(t.Format(time.RFC3339)) }, true
	case "unix":
		return func(t time.Time) value { return numberOf(strconv.FormatInt(t.Unix(), 10)) }, true
	case "unix_ms":
		return func(t time.Time) value { return numberOf(strconv.FormatInt(t.UnixMilli(), 10)) }, true
	}
	rest := form
	for _, part := range []string{"YYYY", "YY", "MM", "DD", "HH", "mm", "ss", "ZZ"} {
		rest = strings.ReplaceAll(rest, part, "")
	}
	if rest == form || strings.Trim(rest, "-/.: ,T") != "" {
		return nil, false
	}
	layout := dateParts.Replace(form)
	return func(t time.Time) value { return textOf(t.Format(layout)) }, true
}
