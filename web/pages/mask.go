package pages

import "kvit/status"

// masked is a text as pages and files show it.
func masked(text string) string { return status.Masked(text) }

// maskedAny is masked for templates: it takes a string or a pointer to one.
func maskedAny(text any) string {
	switch t := text.(type) {
	case string:
		return masked(t)
	case *string:
		if t != nil {
			return masked(*t)
		}
	}
	return ""
}
