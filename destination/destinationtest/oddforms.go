package destinationtest

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed oddforms.txt
var oddForms string

// OddForm is a way in which shops write a member other than in the recommended form.
type OddForm struct {
	Member string // such as "customer.phone"
	Odd    string // as JSON
	Meant  string // the recommended form as JSON; empty: the member is left out
	Noted  bool   // and the receipt says so
}

// OddForms are a few hundred.
func OddForms(t testing.TB) []OddForm {
	t.Helper()
	var list []OddForm
	for line := range strings.Lines(oddForms) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, " | ")
		require.Len(t, parts, 3, line)
		form := OddForm{Member: parts[0], Odd: parts[1], Meant: parts[2]}
		switch form.Meant {
		case "-":
			form.Meant, form.Noted = "", true
		case "none":
			form.Meant = ""
		}
		list = append(list, form)
	}
	return list
}

// Only is a payload that has nothing but the member with this value; nothing at all for an empty one.
func Only(member, value string) string {
	if value == "" {
		value = "null"
	}
	names := strings.Split(member, ".")
	return `{"` + strings.Join(names, `":{"`) + `":` + value + strings.Repeat("}", len(names))
}
