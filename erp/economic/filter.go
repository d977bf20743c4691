package economic

import (
	"net/url"
	"strings"
)

// escapes are the characters that e-conomic's filters have a meaning for.
var escapes = strings.NewReplacer("$", "$$", "(", "$(", ")", "$)", "*", "$*", ",", "$,", "[", "$[", "]", "$]")

// maxFilter is how long a filter may be as the address has it: servers of the kind that e-conomic uses take 2,048
// characters of a query.
const maxFilter = 1600

// filters are questions for the references, as few as fit: $in: is for numbers alone, so that each is a comparison
// of its own. They are escaped for addresses.
func filters(refs []string) []string {
	var list []string
	for _, ref := range refs {
		one := escape("references.other$eq:" + escapes.Replace(ref))
		last := len(list) - 1
		if or := escape("$or:"); last >= 0 && len(list[last])+len(or)+len(one) <= maxFilter {
			list[last] += or + one
			continue
		}
		list = append(list, one)
	}
	return list
}

func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
