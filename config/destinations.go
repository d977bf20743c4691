package config

import (
	"slices"
	"strings"
	"time"
)

// The kinds of destinations.
const (
	KindSpread       = "spread"
	KindGA4          = "ga4"
	KindMeta         = "meta"
	KindTikTok       = "tiktok"
	KindPinterest    = "pinterest"
	KindMatomo       = "matomo"
	KindKlaviyo      = "klaviyo"
	KindMicrosoftUET = "microsoft_uet"
	KindSnowplow     = "snowplow"
	KindWebhook      = "webhook"
)

// kind is what a kind of destination has of its own.
type kind struct {
	name        string
	read        func(*Section) any
	concurrency int    // default
	consent     string // default
	rate        string // default; empty: no limit
	renames     bool   // the provider's event names can be changed
}

// kinds are in the order in which messages list them. The default rates stay below the limits that
// the providers state: Pinterest 5,000 a minute, Klaviyo 3,500 a minute.
var kinds = []kind{
	{KindSpread, read(readSpread), 5, "marketing", "", false},
	{KindGA4, read(readGA4), 8, "analytics", "", true},
	{KindMeta, read(readMeta), 4, "marketing", "", true},
	{KindTikTok, read(readTikTok), 4, "marketing", "", true},
	{KindPinterest, read(readPinterest), 4, "marketing", "80/s", true},
	{KindMatomo, read(readMatomo), 2, "analytics", "", true},
	{KindKlaviyo, read(readKlaviyo), 8, "marketing", "50/s", true},
	{KindMicrosoftUET, read(readMicrosoftUET), 4, "marketing", "", true},
	{KindSnowplow, read(readSnowplow), 4, "analytics", "", true},
	{KindWebhook, read(readWebhook), 16, "marketing", "", false},
}

func read[Settings any](from func(*Section) *Settings) func(*Section) any {
	return func(s *Section) any { return from(s) }
}

func kindNames() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// aCentury bounds durations that nothing else bounds: beyond it a slip of the keyboard is certain.
const aCentury = 36_500 * 24 * time.Hour

func readDestinations(top *Section, delivery Delivery) []Destination {
	s := top.Section("destinations")
	var all []Destination
	for _, name := range s.names {
		if problem := destinationName(name); problem != "" {
			s.Problem(name, problem)
			continue
		}
		all = append(all, readDestination(s.Section(name), name, delivery))
	}
	slices.SortFunc(all, func(a, b Destination) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func readDestination(s *Section, name string, delivery Delivery) Destination {
	d := Destination{Name: name, Line: s.line}
	if !s.Require("kind") {
		return d // what else belongs here depends on the kind
	}
	d.Kind = s.Choice("kind", "", kindNames()...)
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == d.Kind })
	if i < 0 {
		return d
	}
	k := kinds[i]
	d.Settings = k.read(s)
	d.Enabled = s.Boolean("enabled", true)
	d.Consent = s.Text("consent", k.consent, Purpose)
	d.Events, d.EventNames = readEvents(s, k.renames)
	d.Concurrency = s.Integer("concurrency", k.concurrency, 1, 1000)
	d.Timeout = readRequestTimeout(s, delivery)
	d.Rate = readRate(s, k.rate)
	d.RetryFor = s.Duration("retry_for", 72*time.Hour, 0, aCentury)
	d.MaxAge = s.optionalDuration("max_age")
	d.RepeatsKnownFor = s.optionalDuration("repeats_known_for")
	d.BatchEvents = s.Integer("batch_events", 0, 1, 10_000)
	d.RetryUnclear = s.Choice("on_ambiguous", "stop", "stop", "retry") == "retry"
	s.Finish()
	return d
}

// readRequestTimeout leaves room in the attempt for loading and settling.
func readRequestTimeout(s *Section, delivery Delivery) time.Duration {
	usual := 15 * time.Second
	if usual >= delivery.Timeout {
		usual = delivery.Timeout / 2
	}
	timeout := s.Duration("timeout", usual, 100*time.Millisecond, 5*time.Minute)
	if timeout >= delivery.Timeout && !s.reader.faulty("delivery.timeout") {
		s.Problem("timeout", "must be shorter than delivery.timeout")
	}
	return timeout
}

// readRate reads requests a second, as in 5/s, 300/m or 1000/h; 0 is no limit.
func readRate(s *Section, fallback string) float64 {
	text := s.Text("rate", fallback, rateForm)
	rate, _ := parseRate(text)
	return rate
}

func rateForm(text string) string {
	if _, ok := parseRate(text); ok {
		return ""
	}
	return "is not a rate such as 5/s, 300/m or 1000/h, nor none"
}
