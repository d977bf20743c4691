package config

import (
	"slices"
	"strings"
	"time"
)

// The kinds of destinations.
const (
	KindSpread  = "spread"
	KindWebhook = "webhook"
)

// aCentury bounds durations that nothing else bounds: beyond it a slip of the keyboard is certain.
const aCentury = 36_500 * 24 * time.Hour

func readDestinations(top *section, delivery Delivery) []Destination {
	s := top.section("destinations")
	var all []Destination
	for _, name := range s.names {
		if problem := destinationName(name); problem != "" {
			s.problem(name, problem)
			continue
		}
		all = append(all, readDestination(s.section(name), name, delivery))
	}
	slices.SortFunc(all, func(a, b Destination) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func readDestination(s *section, name string, delivery Delivery) Destination {
	d := Destination{Name: name, Line: s.line}
	if !s.require("kind") {
		return d // what else belongs here depends on the kind
	}
	d.Kind = s.choice("kind", "", KindSpread, KindWebhook)
	var concurrency int
	switch d.Kind {
	case KindSpread:
		d.Spread, concurrency = readSpread(s), 5
	case KindWebhook:
		d.Webhook, concurrency = readWebhook(s), 16
	default:
		return d
	}
	d.Enabled = s.boolean("enabled", true)
	d.Consent = s.text("consent", "marketing", purpose)
	d.Events = s.texts("events", eventName)
	d.Concurrency = s.integer("concurrency", concurrency, 1, 1000)
	d.Timeout = readRequestTimeout(s, delivery)
	d.RetryFor = s.duration("retry_for", 72*time.Hour, 0, aCentury)
	d.MaxAge = s.duration("max_age", 0, 0, aCentury)
	s.finish()
	return d
}

// readRequestTimeout leaves room in the attempt for loading and settling.
func readRequestTimeout(s *section, delivery Delivery) time.Duration {
	usual := 15 * time.Second
	if usual >= delivery.Timeout {
		usual = delivery.Timeout / 2
	}
	timeout := s.duration("timeout", usual, 100*time.Millisecond, 5*time.Minute)
	if timeout >= delivery.Timeout && !s.reader.faulty("delivery.timeout") {
		s.problem("timeout", "must be shorter than delivery.timeout")
	}
	return timeout
}
