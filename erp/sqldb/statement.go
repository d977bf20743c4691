package sqldb

import (
	"regexp"
	"slices"
	"strings"

	"kvit/config"
	"kvit/erp"
)

// What stands in statements for parameters.
const (
	refsHole   = "{refs}"        // the references, as the ERP should have them: WEB-10023, WEB-10024
	foldedHole = "{folded_refs}" // the same in upper case, for columns that are compared in upper case
	sinceHole  = "{since}"       // the time from which on changes are asked for
)

// maxParameters is of one statement: SQL Server takes 2100, and its driver needs some.
const maxParameters = 2000

var holes = regexp.MustCompile(`\{[a-z_]+\}`)

// statement checks that a text reads, and has at least one of the placeholders, and no other.
func statement(wanted ...string) config.Check {
	return func(text string) string {
		text = trimmed(text)
		first, _, _ := strings.Cut(strings.ToLower(strings.Join(strings.Fields(text), " ")), " ")
		found := holes.FindAllString(text, -1)
		foreign := func(hole string) bool { return !slices.Contains(wanted, hole) }
		switch {
		case first != "select" && first != "with":
			return "must be one statement that begins with select or with"
		case strings.Contains(text, ";"):
			return "must be one statement: it has a ; before its end"
		case len(wanted) > 0 && len(found) == 0:
			return "must contain " + config.JoinOr(wanted) + ", where the parameters go"
		case slices.ContainsFunc(found, foreign):
			return "has a placeholder that is none of its own"
		}
		return ""
	}
}

func trimmed(text string) string {
	return strings.TrimRight(strings.TrimSpace(text), "; \t\r\n")
}

// fill puts a parameter's mark for each value in the place of each placeholder, and returns the values in the order of
// the marks. Values never become part of the statement.
func fill(text string, mark func(n int) string, values map[string][]any) (filled string, args []any) {
	filled = holes.ReplaceAllStringFunc(trimmed(text), func(hole string) string {
		marks := make([]string, 0, len(values[hole]))
		for _, v := range values[hole] {
			args = append(args, v)
			marks = append(marks, mark(len(args)))
		}
		return strings.Join(marks, ", ")
	})
	return filled, args
}

// references are the values of the placeholders of a Lookup.
func references(refs []string) map[string][]any {
	values := map[string][]any{}
	for _, ref := range refs {
		values[refsHole] = append(values[refsHole], ref)
		values[foldedHole] = append(values[foldedHole], erp.Fold(ref))
	}
	return values
}
