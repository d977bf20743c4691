package destination

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Mapping says what a provider calls the shop's events. The entry of AnyCustom is for custom events
// that have none of their own; OwnName as its value calls each by the name behind its prefix.
type Mapping map[string]string

// OwnName stands in a Mapping for a custom event's own name.
const OwnName = "*"

// With returns the mapping with some entries changed; an empty name removes one.
func (m Mapping) With(changes map[string]string) Mapping {
	changed := maps.Clone(m)
	for name, called := range changes {
		if called == "" {
			delete(changed, name)
			continue
		}
		changed[name] = called
	}
	return changed
}

// Changed is With for the changes of an operator: problem says what the provider has against a name,
// and may be nil. The error names the event.
func (m Mapping) Changed(changes map[string]string, problem func(event, called string) string) (Mapping, error) {
	for _, event := range slices.Sorted(maps.Keys(changes)) {
		if what := changeProblem(event, changes[event], problem); what != "" {
			return nil, fmt.Errorf("events.%s: %s", event, what)
		}
	}
	changed := m.With(changes)
	if len(changed) == 0 {
		return nil, errors.New("events: leaves no event to send")
	}
	return changed, nil
}

func changeProblem(event, called string, problem func(event, called string) string) string {
	isCustom := strings.HasPrefix(event, CustomPrefix)
	switch {
	case !IsName(event):
		return "is not the name of an event"
	case called == "", called == OwnName && isCustom:
		return ""
	case called == OwnName:
		return OwnName + " is for custom events only"
	case strings.TrimSpace(called) == "":
		return "must not be blank"
	case problem == nil:
		return ""
	}
	return problem(event, called)
}

// Within is Changed for a provider that knows a closed list of names, so that no event can keep a name of its own.
func (m Mapping) Within(names []string, provider string, changes map[string]string) (Mapping, error) {
	changed, err := m.Changed(changes, func(_, called string) string {
		if slices.Contains(names, called) {
			return ""
		}
		return "is not a name that " + provider + " knows"
	})
	if err != nil {
		return nil, err
	}
	for _, called := range changed {
		if called == OwnName {
			return nil, errors.New("events: a custom event's own name is not one that " + provider + " knows")
		}
	}
	return changed, nil
}

// OneSale refuses the name of order_paid, or one of those that the provider has for a sale, for a second
// state of an order: where the provider goes by the event's id, it would count the order twice.
func (m Mapping) OneSale(sales ...string) error {
	var sold, paid []string
	for _, state := range []string{"order_placed", "order_paid", "order_shipped"} {
		called, ok := m[state]
		if ok && slices.Contains(sales, called) {
			sold = append(sold, state)
		}
		if ok && called == m["order_paid"] {
			paid = append(paid, state)
		}
	}
	for _, states := range [][]string{sold, paid} {
		if len(states) > 1 {
			return fmt.Errorf("events: %s must not both be a sale, or have the same name, which would count an order twice", strings.Join(states, " and "))
		}
	}
	return nil
}

// Of is what the provider calls an event; false if it is not sent there.
func (m Mapping) Of(name string) (string, bool) {
	called, ok := m[name]
	custom, isCustom := strings.CutPrefix(name, CustomPrefix)
	if !ok && isCustom {
		called, ok = m[AnyCustom]
	}
	if called == OwnName && isCustom {
		called = custom
	}
	return called, ok
}

// IsOwn tells whether the provider calls a custom event as the shop does, by a name that nobody who
// knows the provider has looked at.
func (m Mapping) IsOwn(name string) bool {
	called, ok := m[name]
	if !ok {
		called = m[AnyCustom]
	}
	return called == OwnName && strings.HasPrefix(name, CustomPrefix)
}

// maxPlain is how long a PlainName is. Neither Meta nor TikTok states a limit.
const maxPlain = 50

var notPlain = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// PlainName makes what a shop calls its event into up to 50 letters, digits and _.
func PlainName(name string) string {
	name = notPlain.ReplaceAllString(name, "_")
	return name[:min(len(name), maxPlain)]
}

// IsPlainName tells whether PlainName leaves the name as it is.
func IsPlainName(name string) bool { return name != "" && PlainName(name) == name }

// Events are the names that the mapping knows, as Traits.Events lists them.
func (m Mapping) Events() []string {
	var events []string
	for _, name := range Names {
		if _, ok := m[name]; ok {
			events = append(events, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(name, CustomPrefix) {
			events = append(events, name)
		}
	}
	return events
}

// Called are the events that the provider calls by one of the given names.
func (m Mapping) Called(names ...string) []string {
	return slices.DeleteFunc(m.Events(), func(event string) bool {
		return !slices.Contains(names, m[event])
	})
}
