package delivery

import (
	"slices"

	"github.com/tidwall/gjson"
)

// consent is what the visitor has said to, as far as its meaning is certain. Whatever else the shop wrote is no yes.
type consent struct {
	accepted []string // purposes, as the shop names them
	unclear  []string // purposes whose value is neither a yes nor a no
	problem  string   // why nothing of it could be read; empty: it could

	because map[string]string // reasons that are better than the usual ones, by purpose
	refused string            // why nothing is accepted, whatever it says of a purpose; empty: no such reason
}

// notUnderstood begins the reason of a receipt. The index delivery_unread_consent, by which kvit status counts them,
// has it too.
const notUnderstood = "consent is not understood"

// missing is the reason why an event that needs consent for a purpose is withheld: a no, or something of which nobody
// can tell. It holds no value.
func (c consent) missing(purpose string) string {
	switch {
	case c.problem != "":
		return notUnderstood + ": " + c.problem
	case c.refused != "":
		return "no consent for " + purpose + ": " + c.refused
	case c.because[purpose] != "":
		return c.because[purpose]
	case slices.Contains(c.unclear, purpose):
		return notUnderstood + ": " + purpose + " is neither true nor false"
	default:
		return "no consent for " + purpose
	}
}

// readConsent reads an event's consent: an object of purposes. An object that was encoded twice is that object. Null is
// an empty one. Where a purpose is there more than once, all have to say the same.
func readConsent(text []byte) consent {
	if text == nil {
		return consent{problem: "it is too large"}
	}
	value := gjson.ParseBytes(text)
	if value.Type == gjson.String && gjson.Valid(value.Str) {
		if inner := gjson.Parse(value.Str); inner.IsObject() {
			value = inner
		}
	}
	switch {
	case value.Type == gjson.Null:
		return consent{}
	case !value.IsObject():
		return consent{problem: "it is no object of purposes"}
	}
	var c consent
	refused := map[string]bool{}
	value.ForEach(func(purpose, value gjson.Result) bool {
		yes, known := answer(value)
		switch name := purpose.String(); {
		case !known:
			c.unclear = append(c.unclear, name)
		case yes:
			c.accepted = append(c.accepted, name)
		default:
			refused[name] = true
		}
		return true
	})
	c.accepted = slices.DeleteFunc(c.accepted, func(name string) bool {
		contradicted := refused[name] || slices.Contains(c.unclear, name)
		if contradicted && !slices.Contains(c.unclear, name) {
			c.unclear = append(c.unclear, name)
		}
		return contradicted
	})
	return c
}

// answer reads one purpose. Only the literal true is a yes: somebody has to be able to show it. What other programs write
// for false is as good a no; "true", 1, "granted" or a time are neither.
func answer(value gjson.Result) (yes, known bool) {
	switch value.Type {
	case gjson.True:
		return true, true
	case gjson.False, gjson.Null:
		return false, true
	case gjson.Number:
		return false, value.Raw == "0"
	case gjson.String:
		return false, slices.Contains([]string{"false", "0", ""}, value.Str)
	}
	return false, false
}
