package config

import (
	"slices"
	"strings"
	"time"
)

// Kind is a kind of destination, or of ERP: what kvit.yaml may say of one, and what holds if it says nothing. All that
// kinds share is read here; how a kind's own keys are read is its own affair.
type Kind struct {
	Name        string             // as kind: in the file
	Concurrency int                // default
	Consent     string             // default
	Rate        string             // default, as in 80/s; empty: no limit
	Renames     bool               // the provider's event names can be changed
	Docs        string             // address of the provider's own documentation; empty: there is none
	Read        func(*Section) any // the keys that are the kind's own; becomes Destination.Settings or ERP.Settings
	ERP         *ERPDefaults       // of a kind of ERP, which has none of the five before Read; nil: a kind of destination
}

// kindNames are in the order in which the kinds were given.
func kindNames(kinds []Kind) []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return names
}

// aCentury bounds durations that nothing else bounds: beyond it a slip of the keyboard is certain.
const aCentury = 36_500 * 24 * time.Hour

func readDestinations(top *Section, kinds []Kind, delivery Delivery) []Destination {
	s := top.Section("destinations")
	var all []Destination
	for _, name := range s.names {
		if problem := destinationName(name); problem != "" {
			s.Problem(name, problem)
			continue
		}
		all = append(all, readDestination(s.Section(name), name, kinds, delivery))
	}
	slices.SortFunc(all, func(a, b Destination) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func readDestination(s *Section, name string, kinds []Kind, delivery Delivery) Destination {
	d := Destination{Name: name, Line: s.line}
	if !s.Require("kind") {
		return d // what else belongs here depends on the kind
	}
	d.Kind = s.Choice("kind", "", kindNames(kinds)...)
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == d.Kind })
	if i < 0 {
		return d
	}
	k := kinds[i]
	d.Settings, d.Docs = k.Read(s), k.Docs
	d.Enabled = s.Boolean("enabled", true)
	d.Consent = s.Text("consent", k.Consent, Purpose)
	d.Events, d.EventNames = readEvents(s, k.Renames)
	d.Concurrency = s.Integer("concurrency", k.Concurrency, 1, 1000)
	d.Timeout = readRequestTimeout(s, delivery)
	d.Rate = readRate(s, k.Rate)
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
