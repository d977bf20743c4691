package config

import (
	"regexp"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// EventNames are the events with a fixed name. Beside them there is custom:<name>, a shop's own.
var EventNames = []string{
	"order_placed", "order_paid", "order_shipped", "order_cancelled", "order_refunded",
	"account_created", "account_updated",
	"newsletter_optin", "newsletter_optout", "sms_optin", "sms_optout",
	"cart_updated", "checkout_started",
	"product_viewed", "search", "page_viewed",
	"order_partly_refunded", "cart_item_removed", "wishlist_item_added", "list_viewed",
	"shipping_info_given", "payment_info_given", "promotion_viewed", "promotion_selected", "logged_in",
}

var customEvent = regexp.MustCompile(`^custom:(?:\*|[^\x00-\x1f*]{1,100})$`)

// eventName accepts what a destination may list: a fixed name, one own event, or custom:* for all of those.
func eventName(text string) string {
	if slices.Contains(EventNames, text) || customEvent.MatchString(text) {
		return ""
	}
	problem := "is not the name of an event, nor custom:<name>, nor custom:*"
	if near, ok := nearest(text, EventNames); ok {
		problem += "; did you mean " + near + "?"
	}
	return problem
}

const anyCustom = "custom:*"

// off in a mapping of events is an event that the destination does not get.
const off = "off"

// readEvents reads a list of the events that a destination gets, or a mapping that changes some of the
// kind's own: to off, or to what the provider calls the event, where renames says that it can be told.
func readEvents(s *Section, renames bool) (list []string, names map[string]string) {
	switch node := s.entries["events"].value.(type) {
	case ast.MapNode:
	case nil, *ast.SequenceNode:
		return s.Texts("events", eventName), nil
	default:
		s.take("events")
		s.Problem("events", unexpected(node, "must be a list, or a mapping of events"))
		return nil, nil
	}
	mapping := s.Section("events")
	defer mapping.Finish()
	for _, event := range mapping.names {
		if problem := eventName(event); problem != "" {
			mapping.Problem(event, problem)
			continue
		}
		checks := []Check{oneOf(off)}
		if renames {
			checks = []Check{providerEvent}
		}
		called := mapping.Text(event, "", checks...)
		if called == off && customEvent.MatchString(event) && event != anyCustom {
			mapping.Problem(event, "cannot be off by itself: write the events as a list, which names those that are sent")
			continue
		}
		if called == off {
			called = ""
		}
		if names == nil {
			names = map[string]string{}
		}
		names[event] = called
	}
	return nil, names
}

// providerEvent bounds a name; what more a provider demands is known to its adapter.
func providerEvent(text string) string {
	if len(text) > 128 {
		return "is longer than 128 characters"
	}
	return OneLine(text)
}
