package delivery

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
)

// What the banners give, once the visitor has accepted statistics and nothing else.
const (
	cookiebotText  = `{stamp:'b3Jk+ZQ==',necessary:true,preferences:false,statistics:true,marketing:false,method:'explicit',ver:1,utc:1741083330000,region:'dk'}`
	informationDoc = `{"timestamp":"2025-03-04T10:15:30.000Z","user_uid":"u","consents_approved":["cookie_cat_necessary","cookie_cat_statistic"],` +
		`"consents_denied":["cookie_cat_functional","cookie_cat_marketing","cookie_cat_unclassified"]}`
	usercentricsDoc = `{"event":"consent_status","type":"EXPLICIT","Some Service":true,"ucCategory":{"essential":true,"functional":null,"analytics":true,"marketing":false}}`
	oneTrustText    = `isGpcEnabled=0&datestamp=Tue+Mar+04+2025&version=202209.1.0&interactionCount=1&groups=C0001%3A1%2CC0002%3A1%2CC0003%3A0%2CC0004%3A0&geolocation=DK%3B84`
	googleDoc       = `{"ad_storage":"denied","ad_user_data":"denied","ad_personalization":"denied","analytics_storage":"granted","wait_for_update":500}`
)

func consentMapOf(t *testing.T, section string) *ConsentMap {
	t.Helper()
	getenv := func(string) string { return "postgres://kvit@db.example.com/shop" }
	cfg, err := config.Parse("kvit.yaml", []byte("consent: "+section), getenv, nil)
	require.NoError(t, err)
	c := cfg.Consent
	return &ConsentMap{Form: c.Form, Purposes: c.Purposes, Yes: c.Yes, No: c.No}
}

// quoted is a text as a JSON string.
func quoted(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}

func TestConsentOfBanners(t *testing.T) {
	t.Parallel()
	const (
		analytics = "analytics"
		all       = "analytics marketing"
		no        = "no consent for marketing"
		odd       = notUnderstood + ": "
		unasked   = no + ": the visitor has not answered"
		implied   = no + ": nobody gave it, it is implied"
	)
	granted := strings.NewReplacer("false", "true", "null", "true", "denied", "granted", "%3A0", "%3A1")
	tests := map[string][]struct{ text, accepted, reason string }{ // reason: of marketing
		"{map: cookiebot}": {
			{quoted(cookiebotText), analytics, no},
			{quoted(url.PathEscape(cookiebotText)), analytics, no},
			{quoted(granted.Replace(cookiebotText)), all, ""},
			{`{"necessary":true,"preferences":false,"statistics":true,"marketing":false}`, analytics, no},
			{`{"consent":{"method":"explicit","marketing":true}}`, "marketing", ""},
			{`"0"`, "", no},
			{`"-1"`, "", no + ": nobody was asked where the visitor is"},
			{`-1`, "", no + ": nobody was asked where the visitor is"},
			{quoted(strings.Replace(granted.Replace(cookiebotText), "explicit", "implied", 1)), "", implied},
			{quoted(strings.Replace(granted.Replace(cookiebotText), ",method:'explicit'", "", 1)), "", implied},
			{`{"method":"implied","marketing":true}`, "", implied},
			{quoted(strings.Replace(granted.Replace(cookiebotText), "preferences:true,", "", 1)), "", odd + "it is not the text of Cookiebot's cookie"},
			{quoted(granted.Replace(cookiebotText) + "x"), "", odd + "it is not the text of Cookiebot's cookie"},
			{`{"marketing":"yes","statistics":true}`, analytics, odd + "marketing is neither yes nor no"},
			{`true`, "", odd + "it is not the text of Cookiebot's cookie"},
			{`{"ad_storage":true}`, "", odd + "none of its categories is in consent.map"},
			{`{}`, "", no},
			{`null`, "", no},
		},
		"{map: cookie_information}": {
			{informationDoc, analytics, no},
			{quoted(informationDoc), analytics, no},
			{quoted(url.QueryEscape(informationDoc)), analytics, no},
			{`{"consents_approved":["cookie_cat_statistic","cookie_cat_marketing"],"consents_denied":[]}`, all, ""},
			{`{"consents_approved":["cookie_cat_marketing"],"consents_denied":["cookie_cat_marketing"]}`, "", odd + "cookie_cat_marketing is neither yes nor no"},
			{`{"consents_approved":["cookie_cat_marketing"]}`, "", odd + "consents_denied is no list"},
			{`{"consents_approved":[1],"consents_denied":[]}`, "", odd + "consents_approved is no list of categories"},
			{quoted(`x {"consents_approved":["cookie_cat_marketing"],"consents_denied":[]}`), "", odd + "it is no object with consents_approved and consents_denied"},
		},
		"{map: usercentrics}": {
			{usercentricsDoc, analytics, no},
			{granted.Replace(usercentricsDoc), all, ""},
			{strings.Replace(granted.Replace(usercentricsDoc), "EXPLICIT", "IMPLICIT", 1), "", unasked},
			{`{"ucCategory":{"marketing":true}}`, "", odd + "its type is missing"},
			{`{"consent":{"type":"EXPLICIT"},"categories":{"marketing":{"state":"ALL_ACCEPTED","dps":null},"analytics":{"state":"ALL_ACCEPTED"}}}`, all, ""},
			{`{"consent":{"type":"EXPLICIT"},"categories":{"marketing":{"state":"SOME_ACCEPTED"},"analytics":{"state":"ALL_ACCEPTED"}}}`, analytics, no},
			{`{"consent":{"type":"EXPLICIT"},"categories":{"marketing":{}}}`, "", odd + "marketing is neither yes nor no"},
			{`{"consent":{"type":"IMPLICIT"},"categories":{"marketing":{"state":"ALL_ACCEPTED"}}}`, "", unasked},
			{`{"marketing":true}`, "", odd + "it has no object ucCategory or categories"},
			{quoted(`{"type":"EXPLICIT","ucCategory":{"marketing":false,"marketing":true}}`), "", odd + "it says something twice"},
		},
		"{map: onetrust}": {
			{quoted(oneTrustText), analytics, no},
			{quoted(granted.Replace(oneTrustText)), all, ""},
			{quoted("groups=C0002:1,C0004:1&geolocation=DK;84"), all, ""},
			{`"C0002:1,C0004:1"`, all, ""},
			{`{"groups":"C0002:1,C0004:0"}`, analytics, no},
			{`{"C0002":true,"C0004":1}`, all, ""},
			{`{"C0002":"1","C0004":0}`, analytics, no},
			{`"C0002:1,C0004:1,C0004:0"`, analytics, odd + "C0004 is neither yes nor no"},
			{`"C0002:1,C0004:2"`, analytics, odd + "C0004 is neither yes nor no"},
			{`"C0004:1,C0002"`, "", odd + "its groups are not written as C0001:1,C0002:0"},
			{`"groups=C0004:1&groups=C0004:1"`, "", odd + "it has no groups, or more than one time"},
			{`"groups=C0004%3"`, "", odd + "its groups are badly encoded"},
			{quoted(strings.Replace(granted.Replace(oneTrustText), "interactionCount=1", "interactionCount=0", 1)), "", unasked},
			{`{"groups":"C0004:1","interactionCount":"0"}`, "", unasked},
			{`"BG7:1"`, "", odd + "none of its categories is in consent.map"},
		},
		"{map: google}": {
			{googleDoc, analytics, no},
			{granted.Replace(googleDoc), all, ""},
			{`{"ad_storage":"granted","ad_user_data":"denied","ad_personalization":"granted"}`, "", no + ": ad_personalization is a yes, ad_user_data is a no"},
			{`{"ad_storage":"granted"}`, "", no + ": ad_personalization is missing"},
			{`{"ad_storage":"Granted","ad_user_data":"granted","ad_personalization":"granted"}`, "", odd + "ad_storage is neither yes nor no"},
			{`["ad_storage"]`, "", odd + "it is no object of categories"},
		},
		"{map: {stats: analytics, ads: marketing, mail: marketing}, yes: [ja, '1'], no: [nej]}": {
			{`{"stats":"ja","ads":1,"mail":true}`, all, ""},
			{`{"stats":"nej","ads":"ja","mail":"nej"}`, "", no + ": ads is a yes, mail is a no"},
			{`{"ads":["ja"],"mail":"ja"}`, "", odd + "ads is neither yes nor no"},
			{quoted(`{"ads":"nej","ads":"ja","mail":"ja"}`), "", odd + "it says something twice"},
			{quoted(`{"ads":"nej","\u0061ds":"ja","mail":"ja"}`), "", odd + "it says something twice"},
			{`{"marketing":true}`, "", odd + "none of its categories is in consent.map"},
		},
		"{map: {C0007: marketing, C0002: analytics}, form: onetrust}": {
			{`"C0001:1,C0002:1,C0007:1"`, all, ""},
		},
	}
	for section, cases := range tests {
		m := consentMapOf(t, section)
		for _, c := range cases {
			got := m.read([]byte(c.text))
			asked := slices.DeleteFunc(slices.Clone(got.accepted), func(p string) bool { return p != "analytics" && p != "marketing" })
			require.Equal(t, c.accepted, strings.Join(asked, " "), "%s %s", section, c.text)
			if c.reason != "" {
				require.Equal(t, c.reason, got.missing("marketing"), "%s %s", section, c.text)
			}
		}
		require.Equal(t, odd+"it is too large", m.read(nil).missing("marketing"))
	}
}

// TestNoDamageMakesAYes cuts and damages what banners give: no purpose becomes accepted that was not before.
func TestNoDamageMakesAYes(t *testing.T) {
	t.Parallel()
	for section, text := range map[string]string{
		"{map: cookiebot}": cookiebotText, "{map: cookie_information}": informationDoc, "{map: usercentrics}": usercentricsDoc,
		"{map: onetrust}": oneTrustText, "{map: google}": googleDoc,
	} {
		m := consentMapOf(t, section)
		for _, whole := range []string{text, url.PathEscape(text), strings.NewReplacer("%3A", ":", "%2C", ",").Replace(text)} {
			before := m.read([]byte(quoted(whole))).accepted
			check := func(damaged string) {
				for _, purpose := range m.read([]byte(quoted(damaged))).accepted {
					require.Contains(t, before, purpose, "%s %s", section, damaged)
				}
			}
			for i := range whole {
				check(whole[:i])
				check(whole[i:])
				check(whole[:i] + whole[i+1:])
				check(whole[:i] + "1" + whole[i:])
			}
		}
	}
	for section, text := range map[string]string{"{map: cookiebot}": cookiebotText, "{map: cookie_information}": informationDoc} {
		m := consentMapOf(t, section)
		before := m.read([]byte(quoted(text))).accepted
		require.Contains(t, before, "analytics")
		for i := range text { // whatever is cut out: all categories of these have to be there
			for j := i; j <= len(text); j++ {
				for _, purpose := range m.read([]byte(quoted(text[:i] + text[j:]))).accepted {
					require.Contains(t, before, purpose, "%s %s", section, text[:i]+text[j:])
				}
			}
		}
	}
}

// TestNoMissingMemberMakesAYes leaves members out of documents of all kinds, at any depth.
func TestNoMissingMemberMakesAYes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(12, 5))
	for section, values := range map[string][]any{
		"{map: google}":       {"granted", "denied", "maybe", true, nil, 1},
		"{map: usercentrics}": {true, false, nil, "x"},
		"{map: onetrust}":     {1, 0, true, false, "1", "0", 2},
		"{map: {a: marketing, b: marketing, c: analytics}, yes: [granted]}": {"granted", true, false, nil, "no"},
	} {
		m := consentMapOf(t, section)
		for range 2000 {
			document := map[string]any{"other": "granted"}
			for category := range m.Purposes {
				document[category] = values[random.IntN(len(values))]
			}
			read := func() []string {
				whole := any(document)
				if m.Form == config.UsercentricsForm {
					whole = map[string]any{"type": "EXPLICIT", "ucCategory": document}
				}
				data, _ := json.Marshal(whole)
				return m.read(data).accepted
			}
			before := read()
			for _, name := range slices.Collect(maps.Keys(document)) {
				delete(document, name)
				require.Subset(t, before, read(), "%s %v", section, document)
			}
		}
	}
}

// TestConsentOfABannerDecides delivers by a map what the shop has inserted, or says why not.
func TestConsentOfABannerDecides(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.lane.Consent = consentMapOf(t, "{map: cookiebot}")
	accepts := strings.Replace(cookiebotText, "marketing:false", "marketing:true", 1)
	sql := func(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
	for _, c := range []struct{ consent, receipt string }{
		{quoted(accepts), "delivered"},
		{`{"marketing": true, "method": "explicit"}`, "delivered"},
		{quoted(cookiebotText), "withheld: no consent for marketing"},
		{quoted(accepts[:len(accepts)-1]), "withheld: consent is not understood: it is not the text of Cookiebot's cookie"},
		{`{"marketing": false, "marketing": true}`, "withheld: consent is not understood: it says something twice"},
		{`{"consent": {"marketing": false, "marketing": true}}`, "withheld: consent is not understood: it says something twice"},
	} {
		id := b.event("page_viewed", map[string]string{"consent": sql(c.consent)})
		requireDone(t, b.work(t.Context(), id))
		require.Equal(t, c.receipt, b.receipt(id), c.consent)
	}
	require.Equal(t, []string{"marketing"}, b.sent[1].Consent)
}
