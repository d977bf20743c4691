package erasure

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"net/url"

	"kvit/erasure/policy"
	"kvit/store"
)

const (
	shortest     = 5  // characters of a value
	fewestDigits = 6  // of a value that has no letters
	fewestJoined = 8  // digits that are looked for without the blanks between them
	longestValue = 80 // characters that are looked for of a longer one
	sharedEmail  = 4  // orders of one e-mail address, if few are compared: a person has several
	mostStrong   = 8  // values of an order: each is a look at every row of the database
	mostWeak     = 4
)

// rank is how well a value tells whose it is.
type rank int

const (
	common rank = iota // of many people: not looked for
	weak               // a single word such as a surname: it tells in company of another one
	strong
)

var (
	emailShape = regexp.MustCompile(`^[^\s@]+@[^\s@]+\.[^\s@]+$`)
	phoneShape = regexp.MustCompile(`^[+(]?[0-9][0-9 ()./+-]*$`)
	dateShape  = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?$`)
	uuidShape  = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	linkShape  = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://`)
)

// fillers stand where somebody had nothing to say.
var fillers = []string{"erased", "deleted", "anonymous", "anonymised", "anonymized", "redacted", "unknown", "undefined", "n/a", "none", "false"}

// rankOf is the rule for one value, as far as it goes without looking at other orders.
func rankOf(v store.OldValue) rank {
	text := strings.TrimSpace(v.Text)
	name := policy.Tells(v.Path[strings.LastIndex(v.Path, ".")+1:])
	isEmail, isPhone := emailShape.MatchString(text), phoneShape.MatchString(text)
	switch {
	case !v.Erased || name == policy.TellsSomething:
		return common
	case (!v.Named || v.Number) && name != policy.TellsWhoSomeone && !isEmail:
		return common // the number of a product, the name of a campaign
	case utf8.RuneCountInString(text) < shortest, slices.Contains(fillers, strings.ToLower(text)), strings.ContainsRune(text, 0):
		return common
	case dateShape.MatchString(text), uuidShape.MatchString(text), linkShape.MatchString(text):
		return common
	case isEmail:
		return strong
	case isPhone && len(digitsOf(text)) < fewestDigits:
		return common
	case isPhone || len(strings.Fields(text)) > 1:
		return strong
	case strings.ContainsFunc(text, unicode.IsDigit) && strings.ContainsFunc(text, unicode.IsLetter):
		return strong
	}
	return weak
}

// occurrences are where the values of many orders stand.
type occurrences struct {
	kept   map[string]bool            // values that stay
	orders map[string]map[string]bool // by value: orders that have it
	emails map[string][]string        // by order
	all    map[string]bool            // orders
}

func occurrencesOf(values []store.OldValue, placeholders []string) occurrences {
	o := occurrences{kept: map[string]bool{}, orders: map[string]map[string]bool{}, emails: map[string][]string{}, all: map[string]bool{}}
	for _, text := range placeholders {
		o.kept[folded(text)] = true
	}
	for _, v := range values {
		text := folded(v.Text)
		if !v.Erased {
			o.kept[text] = true
			continue
		}
		if o.orders[text] == nil {
			o.orders[text] = map[string]bool{}
		}
		o.orders[text][v.Ref], o.all[v.Ref] = true, true
		if emailShape.MatchString(text) {
			o.emails[v.Ref] = append(o.emails[v.Ref], text)
		}
	}
	return o
}

// distinctive tells whether no other person has the value, as far as one can see. Orders with the same e-mail
// address are one person's, but for an address that many have: the shop's own.
func (o occurrences) distinctive(ref, text string) bool {
	if o.kept[text] {
		return false
	}
	if emailShape.MatchString(text) {
		return len(o.orders[text]) <= max(sharedEmail, len(o.all)/2)
	}
	for other := range o.orders[text] {
		if other != ref && !o.samePerson(ref, other) {
			return false
		}
	}
	return true
}

func (o occurrences) samePerson(a, b string) bool {
	return slices.ContainsFunc(o.emails[a], func(email string) bool {
		return slices.Contains(o.emails[b], email) && o.distinctive(a, email)
	})
}

// candidate is a value that may be looked for.
type candidate struct {
	text string
	rank rank
}

// chooseValues picks of the values of many orders those that tell of one of refs.
func chooseValues(values []store.OldValue, refs []string, placeholders []string) []store.SearchValue {
	known := occurrencesOf(values, placeholders)
	candidates := map[string][]candidate{} // by order
	for _, v := range values {
		if !slices.Contains(refs, v.Ref) || !known.distinctive(v.Ref, folded(v.Text)) {
			continue
		}
		if r := rankOf(v); r != common {
			candidates[v.Ref] = append(candidates[v.Ref], candidate{strings.TrimSpace(v.Text), r})
		}
	}
	var chosen []store.SearchValue
	for owner, ref := range refs {
		for _, c := range best(candidates[ref]) {
			chosen = append(chosen, store.SearchValue{Owner: owner, Forms: formsOf(c.text), Weak: c.rank == weak})
		}
	}
	return chosen
}

// best are the few that the time is spent on: e-mail addresses and telephone numbers before others, and the short
// before the long, since where "For Jane Example" stands, "Jane Example" does.
func best(candidates []candidate) []candidate {
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		return cmp.Or(a.order()-b.order(), len(a.text)-len(b.text))
	})
	var list []candidate
	count := map[rank]int{}
	for _, c := range candidates {
		within := func(other candidate) bool {
			return other.rank >= c.rank && strings.Contains(folded(c.text), folded(other.text))
		}
		if slices.ContainsFunc(list, within) || count[c.rank] == map[rank]int{strong: mostStrong, weak: mostWeak}[c.rank] {
			continue
		}
		count[c.rank]++
		list = append(list, c)
	}
	return list
}

func (c candidate) order() int {
	switch {
	case c.rank == weak:
		return 3
	case emailShape.MatchString(c.text):
		return 0
	case phoneShape.MatchString(c.text):
		return 1
	}
	return 2
}

// folded is what two writings of a value have in common.
func folded(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

// formsOf are the ways in which a value may be written down: as it is, inside of JSON, with what is not ASCII
// escaped or not, inside of a composite, of an address on the web, and a telephone number without its blanks.
func formsOf(text string) []string {
	text = firstLine(strings.TrimSpace(text))
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
	ascii := asciiJSON(text)
	forms := []string{
		text, quoted, ascii, strings.ReplaceAll(ascii, "/", `\/`),
		strings.NewReplacer(`\`, `\\`, `"`, `""`).Replace(text),
	}
	switch {
	case emailShape.MatchString(text):
		forms = append(forms, url.QueryEscape(text))
	case phoneShape.MatchString(text):
		if digits := digitsOf(text); len(digits) >= fewestJoined {
			forms = append(forms, digits)
		}
	}
	var different []string
	for _, f := range forms {
		if !slices.Contains(different, f) {
			different = append(different, f)
		}
	}
	return different
}

// firstLine is enough of a long text.
func firstLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text = strings.TrimSpace(text)
	if utf8.RuneCountInString(text) > longestValue {
		text = string([]rune(text)[:longestValue])
	}
	return text
}

// asciiJSON is the inside of a JSON string as many programs write it: é as \u00e9.
func asciiJSON(text string) string {
	encoded, _ := json.Marshal(text) // a string always encodes
	var b strings.Builder
	for _, r := range strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(encoded[1 : len(encoded)-1])) {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

func digitsOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}
