package destination

import (
	"flag"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what is made from the description of the payload")

// TestDescription keeps the JSON Schema and the table of the shop's developers as the structs of the
// payload have it; with -update it writes them.
func TestDescription(t *testing.T) {
	t.Parallel()
	for file, made := range map[string]func(old string) string{
		"../docs/event.schema.json": func(string) string { return schemaFile() },
		"../docs/shop.md":           withTable,
	} {
		old, err := os.ReadFile(file)
		require.NoError(t, err)
		want := made(string(old))
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(want), 0o600))
			continue
		}
		require.Equal(t, want, string(old), "%s: go generate ./destination", file)
	}
}

// TestDescribeUnclear: a struct that cannot be read stops the program, and every test, at once.
func TestDescribeUnclear(t *testing.T) {
	t.Parallel()
	for message, unclear := range map[string]any{
		"no form is named shoe": struct {
			Size string `member:"size" form:"shoe"`
		}{},
		"the type of Size has no form": struct {
			Size float64 `member:"size"`
		}{},
		"Size needs a member name of its own": struct{ Size string }{},
		"Width needs a member name of its own": struct {
			Size  string `member:"size"`
			Width string `member:"size"`
		}{},
	} {
		require.PanicsWithValue(t, "destination: "+message, func() { describe(reflect.TypeOf(unclear)) })
	}
}

const schemaHead = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Payload of an event in kvit.tracking_event",
  "description": "Unknown members are allowed and passed over. null and an empty string count as left out. ` +
	`At most 256 KiB, nested at most 100 levels deep. Money is a decimal string and never a number.",
`

// schemaFile has a definition for each form and each object, a line for each member.
func schemaFile() string {
	var definitions []string
	for _, f := range forms {
		if f.schema != "" {
			definitions = append(definitions, `    "`+f.name+`": `+f.schema)
		}
	}
	known := map[string]bool{}
	var define func(o *object)
	define = func(o *object) {
		for _, m := range o.members {
			if m.inner == nil || known[m.name] {
				continue
			}
			known[m.name] = true
			define(m.inner)
			definitions = append(definitions, `    "`+m.name+"\": {\n"+definition(m)+"\n    }")
		}
	}
	define(payloadObject)
	return schemaHead + `  "type": ["object", "null"],` + "\n" + properties(payloadObject, "  ") + ",\n" +
		"  \"$defs\": {\n" + strings.Join(definitions, ",\n") + "\n  }\n}\n"
}

func definition(m member) string {
	const margin = "      "
	if m.form != "items" {
		return margin + `"type": ["object", "null"],` + "\n" + properties(m.inner, margin)
	}
	return margin + `"type": ["array", "null"],` + "\n" + margin + "\"items\": {\n" +
		margin + `  "type": "object",` + "\n" + properties(m.inner, margin+"  ") + "\n" + margin + "}"
}

func properties(o *object, margin string) string {
	lines := make([]string, len(o.members))
	for i, m := range o.members {
		lines[i] = margin + `  "` + m.name + `": {` + strings.Join(keywords(m), ", ") + "}"
	}
	return margin + "\"properties\": {\n" + strings.Join(lines, ",\n") + "\n" + margin + "}"
}

func keywords(m member) []string {
	var list []string
	if m.about != "" {
		list = append(list, `"description": `+string(JSON(sentence(m.about))))
	}
	switch {
	case m.inner != nil:
		list = append(list, `"$ref": "#/$defs/`+m.name+`"`)
	case formNamed(m.form).schema != "":
		list = append(list, `"$ref": "#/$defs/`+m.form+`"`)
	}
	return list
}

func sentence(about string) string {
	first, size := utf8.DecodeRuneInString(about)
	return string(unicode.ToUpper(first)) + about[size:] + "."
}

var tableRows = regexp.MustCompile(`(?m)(^\| object \| members \|\n\| --- \| --- \|\n)(\|.*\n)+`)

// withTable is docs/shop.md with its table of the payload made anew.
func withTable(page string) string {
	page = takenRows.ReplaceAllLiteralString(page, takenTable())
	return tableRows.ReplaceAllString(page, "${1}"+tableOf(payloadObject))
}

var takenRows = regexp.MustCompile(`(?m)^\| form \| members \| also taken \|\n(\|.*\n)+`)

// takenTable says which forms are taken beside the recommended ones.
func takenTable() string {
	members := map[string][]string{}
	var collect func(within string, o *object)
	collect = func(within string, o *object) {
		for _, m := range o.members {
			if m.inner != nil {
				collect(m.name+".", m.inner)
			} else if name := "`" + within + m.name + "`"; !slices.Contains(members[m.form], name) {
				members[m.form] = append(members[m.form], name)
			}
		}
	}
	collect("", payloadObject)
	table := "| form | members | also taken |\n| --- | --- | --- |\n"
	for _, f := range forms {
		if f.taken == "" {
			continue
		}
		list := strings.Join(members[f.name], ", ")
		if f.name == "text" {
			list = "all others"
		}
		table += "| " + f.name + " | " + list + " | " + f.taken + " |\n"
	}
	return table
}

func tableOf(payload *object) string {
	rows, shown := "", map[string]bool{}
	for _, m := range payload.members {
		var cell []string
		if m.inner != nil {
			cell = append(cell, membersOf(m.inner, shown))
		}
		if m.about != "" {
			cell = append(cell, quoted(m.about))
		}
		rows += "| `" + m.name + "` | " + strings.Join(cell, ": ") + " |\n"
	}
	return rows
}

// membersOf names an object's members with what is to be said of each; what a list of objects holds is
// shown once.
func membersOf(o *object, shown map[string]bool) string {
	list := make([]string, len(o.members))
	for i, m := range o.members {
		list[i] = "`" + m.name + "`"
		if m.form == "texts" || m.form == "items" {
			list[i] += " as a list"
		}
		if m.inner != nil && !shown[m.name] {
			shown[m.name] = true
			list[i] += " (" + membersOf(m.inner, shown) + ")"
		}
		if m.about != "" {
			list[i] += " (" + quoted(m.about) + ")"
		}
	}
	return strings.Join(list, ", ")
}

var nameInText = regexp.MustCompile(`[a-z]*_[a-z_<>]+`)

// quoted is a text for Markdown, in which names of cookies and the like have a _ that it must not read.
func quoted(about string) string { return nameInText.ReplaceAllString(about, "`$0`") }
