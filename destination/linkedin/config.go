package linkedin

import (
	"kvit/config"
	"kvit/destination"
)

// Kind is an ad account at LinkedIn's Conversions API, as kvit.yaml names it. The default rate stays below the 600
// requests a minute and 500,000 a day that LinkedIn allows.
var Kind = config.Kind{
	Name: "linkedin", Concurrency: 4, Consent: "marketing", Rate: "5/s", Read: destination.Reader(readOptions),
	Docs: "https://learn.microsoft.com/en-us/linkedin/marketing/integrations/ads-reporting/conversions-api",
}

// Make makes the destination. What LinkedIn calls an event is its conversion rule.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.HTTP = common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	o := Options{
		AccountID: s.RequiredText("account_id", accountID),
		Token:     s.RequiredSecret("token", config.VisibleASCII),
		Version:   s.Text("version", DefaultVersion, version),
		BaseURL:   s.URL("base_url", DefaultBaseURL),
	}
	if s.Require("rules") {
		o.Rules = s.Section("rules").Pairs(eventName, rule)
	}
	return o
}

var (
	accountID = config.Matches(`[0-9]{1,20}`, "is not the id of an ad account (digits, in quotes)")
	version   = config.Matches(`20[0-9]{2}(?:0[1-9]|1[0-2])`, "is not a version such as 202608 (in quotes)")
	rule      = config.Matches(`(?:`+ruleURN+`)?[0-9]{1,20}`, "is not the id of a conversion rule (digits, in quotes)")
)

func eventName(name string) string {
	if !destination.IsName(name) {
		return "is not the name of an event"
	}
	return ""
}
