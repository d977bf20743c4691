package delivery

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"kvit/config"
)

// ConsentMap reads what a banner gives instead of purposes. A purpose is accepted if all categories that become it are
// there and say yes; whatever else is a no, with a reason that says what is missing. Nil reads purposes.
type ConsentMap struct {
	Form     string            // of config's forms
	Purposes map[string]string // by category
	Yes, No  []string          // values, as texts, beside true, false and what is an obvious no
}

// notAnswered is why the settings of a banner that nobody has touched are no consent.
const notAnswered = "the visitor has not answered"

// answers are what is said of each category.
type answers map[string]said

type said int

const (
	absent said = iota
	accepted
	declined
	unclear // neither yes nor no, or both
)

// add keeps what is said of a category; if it is said before, both have to be the same.
func (a answers) add(category string, s said) {
	if before := a[category]; before != absent && before != s {
		s = unclear
	}
	a[category] = s
}

func (m *ConsentMap) read(text []byte) consent {
	switch {
	case m == nil:
		return readConsent(text)
	case text == nil:
		return consent{problem: "it is too large"}
	}
	value := inText(gjson.ParseBytes(text))
	if value.Type == gjson.Null {
		return consent{}
	}
	if repeats(value, 3) {
		return consent{problem: "it says something twice"}
	}
	found := answers{}
	refused, problem := m.fill(found, value)
	switch {
	case problem != "":
		return consent{problem: problem}
	case refused != "":
		return consent{refused: refused}
	case len(found) > 0 && !slices.ContainsFunc(slices.Collect(maps.Keys(m.Purposes)), func(c string) bool { return found[c] != absent }):
		return consent{problem: "none of its categories is in consent.map"}
	}
	return m.judge(found)
}

// fill reads the categories in the form of the map. If it is understood, and nothing is accepted nevertheless, refused
// says why.
func (m *ConsentMap) fill(found answers, value gjson.Result) (refused, problem string) {
	switch m.Form {
	case config.CookiebotForm:
		return m.cookiebot(found, value)
	case config.CookieInformationForm:
		return "", m.cookieInformation(found, value)
	case config.UsercentricsForm:
		return m.usercentrics(found, value)
	case config.OneTrustForm:
		return m.oneTrust(found, value)
	default:
		return "", m.object(found, value)
	}
}

// judge makes purposes of categories.
func (m *ConsentMap) judge(found answers) consent {
	categories := map[string][]string{}
	for category, purpose := range m.Purposes {
		categories[purpose] = append(categories[purpose], category)
	}
	c := consent{because: map[string]string{}}
	for purpose, all := range categories {
		slices.Sort(all)
		if reason := objection(found, purpose, all); reason != "" {
			c.because[purpose] = reason
			continue
		}
		c.accepted = append(c.accepted, purpose)
	}
	slices.Sort(c.accepted)
	return c
}

// objection is why a purpose is not accepted; empty: it is.
func objection(found answers, purpose string, categories []string) string {
	where := map[said][]string{}
	for _, category := range categories {
		where[found[category]] = append(where[found[category]], category)
	}
	no, none := "no consent for "+purpose, len(where[accepted]) == 0
	switch {
	case len(where[unclear]) > 0:
		return notUnderstood + ": " + where[unclear][0] + " is neither yes nor no"
	case none:
		return no
	case len(where[declined]) > 0:
		return no + ": " + where[accepted][0] + " is a yes, " + where[declined][0] + " is a no"
	case len(where[absent]) > 0:
		return no + ": " + where[absent][0] + " is missing"
	}
	return ""
}

// answer reads the value of one category.
func (m *ConsentMap) answer(value gjson.Result) said {
	text := value.Raw
	if value.Type == gjson.String {
		text = value.Str
	}
	yes, known := answer(value)
	switch scalar := !value.IsObject() && !value.IsArray(); {
	case yes, scalar && slices.Contains(m.Yes, text):
		return accepted
	case known, scalar && slices.Contains(m.No, text):
		return declined
	}
	return unclear
}

func (m *ConsentMap) members(found answers, object gjson.Result) {
	object.ForEach(func(name, value gjson.Result) bool {
		if _, known := m.Purposes[name.String()]; known {
			found.add(name.String(), m.answer(value))
		} else {
			found.add(name.String(), unclear)
		}
		return true
	})
}

func (m *ConsentMap) object(found answers, value gjson.Result) (problem string) {
	if !value.IsObject() {
		return "it is no object of categories"
	}
	m.members(found, value)
	return ""
}

// cookiebotCookie is the whole text of Cookiebot's cookie: a literal of JavaScript.
var cookiebotCookie = regexp.MustCompile(`^\{stamp:'[^']*',necessary:(true|false),preferences:(true|false),statistics:(true|false),marketing:(true|false)` +
	`(?:,method:'([a-z]*)')?(?:,[a-z]+:(?:'[^']*'|-?[0-9]+|true|false))*\}$`)

// cookiebot reads the cookie, or the object Cookiebot.consent. What was given without the visitor is no consent that
// anybody could show: where none was asked for (-1), and where it is implied, as it is without a method.
func (m *ConsentMap) cookiebot(found answers, value gjson.Result) (refused, problem string) {
	const implied = "nobody gave it, it is implied"
	if value.IsObject() {
		if inner := value.Get("consent"); inner.IsObject() {
			value = inner
		}
		if method := value.Get("method"); method.Exists() && method.Str != "explicit" {
			return implied, ""
		}
		m.members(found, value)
		return "", ""
	}
	text := value.String()
	switch text {
	case "0":
		return "", ""
	case "-1":
		return "nobody was asked where the visitor is", ""
	}
	parts := cookiebotCookie.FindStringSubmatch(text)
	switch {
	case parts == nil:
		return "", "it is not the text of Cookiebot's cookie"
	case parts[5] != "explicit":
		return implied, ""
	}
	for i, category := range []string{"necessary", "preferences", "statistics", "marketing"} {
		found.add(category, map[string]said{"true": accepted, "false": declined}[parts[i+1]])
	}
	return "", ""
}

// cookieInformation reads the cookie: two lists of categories, of which neither may be missing.
func (m *ConsentMap) cookieInformation(found answers, value gjson.Result) (problem string) {
	if !value.IsObject() { // gjson would look into a text for one
		return "it is no object with consents_approved and consents_denied"
	}
	for member, s := range map[string]said{"consents_approved": accepted, "consents_denied": declined} {
		list := value.Get(member)
		if !list.IsArray() {
			return member + " is no list"
		}
		for _, category := range list.Array() {
			if category.Type != gjson.String {
				return member + " is no list of categories"
			}
			found.add(category.Str, s)
		}
	}
	return ""
}

// usercentrics reads the event consent_status, or the answer of getConsentDetails. Both say whether the visitor has
// answered; without it, the categories are what the shop has set before.
func (m *ConsentMap) usercentrics(found answers, value gjson.Result) (refused, problem string) {
	if !value.IsObject() {
		return "", "it is no object with ucCategory or categories"
	}
	categories, kind := value.Get("ucCategory"), value.Get("type")
	if !categories.Exists() {
		categories, kind = value.Get("categories"), value.Get("consent.type")
	}
	switch {
	case !categories.IsObject():
		return "", "it has no object ucCategory or categories"
	case kind.Str == "":
		return "", "its type is missing"
	case !strings.EqualFold(kind.Str, "explicit"):
		return notAnswered, ""
	}
	categories.ForEach(func(name, category gjson.Result) bool {
		if category.IsObject() {
			category = category.Get("state")
			if !category.Exists() {
				found.add(name.String(), unclear)
				return true
			}
		}
		found.add(name.String(), m.answer(category))
		return true
	})
	return "", ""
}

var oneTrustGroup = regexp.MustCompile(`^([^:,=&]+):([0-9]+)$`)

// oneTrust reads the cookie, the member groups of it, or an object of groups.
func (m *ConsentMap) oneTrust(found answers, value gjson.Result) (refused, problem string) {
	if value.IsObject() {
		groups := value.Get("groups")
		if !groups.Exists() {
			m.members(found, value)
			return "", ""
		}
		if value.Get("interactionCount").String() == "0" {
			return notAnswered, ""
		}
		value = groups
	}
	if value.Type != gjson.String {
		return "", "it has no groups"
	}
	groups, problem := oneTrustGroups(value.Str)
	if problem != "" {
		return "", problem
	}
	if slices.Contains(strings.Split(value.Str, "&"), "interactionCount=0") {
		return notAnswered, ""
	}
	for group := range strings.SplitSeq(groups, ",") {
		parts := oneTrustGroup.FindStringSubmatch(group)
		if parts == nil {
			return "", "its groups are not written as C0001:1,C0002:0"
		}
		found.add(parts[1], m.answer(gjson.Result{Type: gjson.String, Str: parts[2], Raw: parts[2]}))
	}
	return "", ""
}

// oneTrustGroups finds the groups in the text of the cookie, or in that of the groups alone.
func oneTrustGroups(text string) (groups, problem string) {
	groups = text
	if strings.Contains(text, "=") {
		var all []string
		for member := range strings.SplitSeq(text, "&") {
			if inner, ok := strings.CutPrefix(member, "groups="); ok {
				all = append(all, inner)
			}
		}
		if len(all) != 1 {
			return "", "it has no groups, or more than one time"
		}
		groups = all[0]
	}
	groups, err := url.PathUnescape(groups)
	if err != nil {
		return "", "its groups are badly encoded"
	}
	return groups, ""
}

// inText is what stands in a text: an object that was encoded twice, or a cookie as browsers send it.
func inText(value gjson.Result) gjson.Result {
	if value.Type != gjson.String {
		return value
	}
	plain, err := url.PathUnescape(value.Str)
	if err != nil {
		plain = value.Str
	}
	for _, text := range []string{value.Str, plain} {
		if inner := gjson.Parse(text); inner.IsObject() && gjson.Valid(text) {
			return inner
		}
	}
	if strings.HasPrefix(plain, "{") { // Cookiebot's
		value.Str = plain
	}
	return value
}

// repeats tells whether an object has a member twice, down to a depth: nobody knows which of them counts.
func repeats(value gjson.Result, depth int) bool {
	if depth == 0 || !value.IsObject() {
		return false
	}
	seen, twice := map[string]bool{}, false
	value.ForEach(func(name, inner gjson.Result) bool {
		twice = seen[name.String()] || repeats(inner, depth-1)
		seen[name.String()] = true
		return !twice
	})
	return twice
}
