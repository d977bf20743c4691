package economic

import (
	"net/url"
	"strconv"
	"strings"
)

// escapes are the characters that e-conomic's filters have a meaning for.
var escapes = strings.NewReplacer("$", "$$", "(", "$(", ")", "$)", "*", "$*", ",", "$,", "[", "$[", "]", "$]")

// maxFilter is how long a filter may be as the address has it: servers of the kind that e-conomic uses take 2,048
// characters of a query.
const maxFilter = 1600

// filters are questions for the references in a property, as few as fit: $in: is for numbers alone, so that each is a
// comparison of its own. They are escaped for addresses. A number is asked for what is one, and for nothing else.
func filters(property string, refs []string) []string {
	var list []string
	for _, ref := range refs {
		if property == ownNumber && !isNumber(ref) {
			continue
		}
		one := escape(property + "$eq:" + escapes.Replace(ref))
		last := len(list) - 1
		if or := escape("$or:"); last >= 0 && len(list[last])+len(or)+len(one) <= maxFilter {
			list[last] += or + one
			continue
		}
		list = append(list, one)
	}
	return list
}

// isNumber tells whether a reference can be an order's number, which has at most 9 digits.
func isNumber(ref string) bool {
	n, err := strconv.Atoi(ref)
	return err == nil && 0 < n && n <= 999_999_999 && strconv.Itoa(n) == ref
}

func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
