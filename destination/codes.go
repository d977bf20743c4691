package destination

import (
	"strings"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"
)

// notCountries are codes that golang.org/x/text counts as countries and ISO 3166-1 does not, or not any more:
// withdrawn ones, and parts of countries that CLDR gives a code of its own. XK stays: it is what everybody
// calls Kosovo.
const notCountries = "AC AN CP CQ CS CT DD DG DY EA FQ FX HV IC JT MI NH NQ NT PC PU PZ RH SU TA TP UK VD WK YD YU ZR BU"

// countries are the codes of ISO 3166-1, by their two letters.
var countries = func() (known [26][26]bool) {
	for a := range known {
		for b := range known[a] {
			code := string([]byte{'A' + byte(a), 'A' + byte(b)})
			region, err := language.ParseRegion(code)
			known[a][b] = err == nil && region.IsCountry() && !strings.Contains(notCountries, code)
		}
	}
	return known
}()

func isCountry(s string) bool {
	return len(s) == 2 && isUpper(s) && countries[s[0]-'A'][s[1]-'A']
}

// countryAliases are codes that the European Union uses instead of those of ISO.
var countryAliases = map[string]string{"UK": "GB", "EL": "GR"}

func mendCountry(text string) (string, bool) {
	code := strings.ToUpper(text)
	if alias, ok := countryAliases[code]; ok {
		return alias, true
	}
	if len(code) == 3 { // three letters, or the number
		if region, err := language.ParseRegion(code); err == nil {
			code = region.String()
		}
	}
	return code, isCountry(code)
}

// newCurrencies have come since the list of golang.org/x/text was made (CLDR 32).
const newCurrencies = "MRU SLE STN UYW VED VES XAD XCG ZWG"

// notCurrencies are codes for nothing, and for tests.
const notCurrencies = "XTS XXX"

// currencies are the codes of ISO 4217, old ones too, by their three letters.
var currencies = func() map[string]bool {
	known := map[string]bool{}
	for i := range 26 * 26 * 26 {
		code := string([]byte{'A' + byte(i/676), 'A' + byte(i/26%26), 'A' + byte(i%26)})
		if _, err := currency.ParseISO(code); err == nil && !strings.Contains(notCurrencies, code) {
			known[code] = true
		}
	}
	for code := range strings.FieldsSeq(newCurrencies) {
		known[code] = true
	}
	return known
}()

func isCurrency(s string) bool { return currencies[s] }

// currencySigns are those of one currency alone: $ and kr are of many.
var currencySigns = map[string]string{"€": "EUR", "£": "GBP"}

func mendCurrency(text string) (string, bool) {
	if code, ok := currencySigns[text]; ok {
		return code, true
	}
	code := strings.ToUpper(text)
	return code, isCurrency(code)
}

func isUpper(s string) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return true
}
