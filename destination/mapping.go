package destination

import (
	"maps"
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
