package config

import (
	"maps"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// The forms in which an event's consent can stand, beside that of purposes.
const (
	ObjectForm            = "object" // categories with values
	CookiebotForm         = "cookiebot"
	CookieInformationForm = "cookie_information"
	UsercentricsForm      = "usercentrics"
	OneTrustForm          = "onetrust"
)

// OwnMap is Consent.Map of a map that stands in the file.
const OwnMap = "own"

// Consent says how what the shop's banner gives becomes purposes (key "consent").
type Consent struct {
	Map      string            // the name of a ready map, or OwnMap
	Form     string            // ObjectForm or another form
	Purposes map[string]string // by category; a purpose is accepted if all its categories are
	Yes, No  []string          // values, as texts, beside true, false and what is an obvious no; they differ
}

// forms are the values of each form.
var forms = map[string]Consent{
	ObjectForm:            {},
	CookiebotForm:         {},
	CookieInformationForm: {},
	UsercentricsForm:      {Yes: []string{"ALL_ACCEPTED"}, No: []string{"ALL_DENIED", "SOME_ACCEPTED", "SOME_DENIED"}},
	OneTrustForm:          {Yes: []string{"1"}, No: []string{"0"}},
}

// readyMaps are the maps that need no more than their name.
var readyMaps = map[string]Consent{
	"cookiebot": {Form: CookiebotForm, Purposes: map[string]string{
		"necessary": "necessary", "preferences": "preferences", "statistics": "analytics", "marketing": "marketing",
	}},
	"cookie_information": {Form: CookieInformationForm, Purposes: map[string]string{
		"cookie_cat_necessary": "necessary", "cookie_cat_functional": "preferences",
		"cookie_cat_statistic": "analytics", "cookie_cat_marketing": "marketing",
	}},
	"usercentrics": {Form: UsercentricsForm, Purposes: map[string]string{
		"essential": "necessary", "functional": "preferences", "analytics": "analytics", "marketing": "marketing",
	}},
	"onetrust": {Form: OneTrustForm, Purposes: map[string]string{
		"C0001": "necessary", "C0002": "analytics", "C0003": "preferences", "C0004": "marketing", "C0005": "social",
	}},
	// What is sent to advertisers is stored, handed on and used for personal advertising: all three must be granted.
	"google": {Form: ObjectForm, Yes: []string{"granted"}, No: []string{"denied"}, Purposes: map[string]string{
		"ad_storage": "marketing", "ad_user_data": "marketing", "ad_personalization": "marketing",
		"analytics_storage": "analytics", "functionality_storage": "preferences", "personalization_storage": "personalization",
		"security_storage": "necessary",
	}},
}

var (
	category      = Matches(`[^\x00-\x1f]{1,100}`, "is not the name of a category (1 to 100 characters of one line)")
	mappedPurpose = Matches(`[A-Za-z][A-Za-z0-9_.:-]{0,62}`, "is not a purpose (letters, digits and _.:- only, at most 63)")
	consentValue  = Matches(`[^\x00-\x1f]{1,100}`, "is not a value (1 to 100 characters of one line)")
)

// readConsent gives nil where purposes stand in the events themselves.
func readConsent(top *Section) *Consent {
	s := top.Section("consent")
	if !s.present {
		return nil
	}
	defer s.Finish()
	if !s.Require("map") {
		return nil
	}
	if _, own := s.entries["map"].value.(ast.MapNode); own {
		return readOwnMap(s)
	}
	name := s.Choice("map", "", slices.Sorted(maps.Keys(readyMaps))...)
	for _, key := range []string{"form", "yes", "no"} {
		if s.take(key); s.Has(key) {
			s.Problem(key, "is for a map of categories that stands in the file: a ready map has its own")
		}
	}
	c, known := readyMaps[name]
	if !known {
		return nil // reported
	}
	values := forms[c.Form]
	c.Map, c.Yes, c.No = name, slices.Concat(values.Yes, c.Yes), slices.Concat(values.No, c.No)
	return &c
}

func readOwnMap(s *Section) *Consent {
	categories := s.Section("map")
	form := s.Choice("form", ObjectForm, slices.Sorted(maps.Keys(forms))...)
	c := forms[form]
	c.Map, c.Form = OwnMap, form
	c.Purposes = categories.Pairs(category, mappedPurpose, notNone)
	if categories.Len() == 0 {
		s.Problem("map", "names no category")
	}
	yes, no := s.Texts("yes", consentValue, notFalse), s.Texts("no", consentValue)
	for _, key := range []string{"yes", "no"} {
		if s.Has(key) && c.Form != ObjectForm {
			s.Problem(key, "is for the form object: the others have values of their own")
		}
	}
	for _, value := range no {
		if value == "true" || slices.Contains(yes, value) {
			s.Problem("no", "names a value that is a yes")
		}
	}
	c.Yes, c.No = slices.Concat(c.Yes, yes), slices.Concat(c.No, no)
	return &c
}

func notNone(text string) string {
	if text == None {
		return "is not a purpose"
	}
	return ""
}

// notFalse keeps what every program writes for no from becoming a yes.
func notFalse(text string) string {
	if slices.Contains([]string{"false", "0", "null"}, text) {
		return "is what programs write for no"
	}
	return ""
}

// checkPurposes finds destinations that would never get an event, since no category becomes their purpose.
func (r *reader) checkPurposes(cfg Config) {
	if cfg.Consent == nil || r.faulty("consent.map") {
		return
	}
	given := slices.Collect(maps.Values(cfg.Consent.Purposes))
	for _, d := range cfg.Destinations {
		key := "destinations." + d.Name + ".consent"
		if d.Consent == "" || d.Consent == None || slices.Contains(given, d.Consent) || r.faulty(key) {
			continue
		}
		r.problemAt("no category of consent.map becomes "+d.Consent+", which this destination needs", key, "destinations."+d.Name)
	}
}
