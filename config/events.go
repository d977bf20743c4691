package config

import (
	"regexp"
	"slices"
)

// EventNames are the events with a fixed name. Beside them there is custom:<name>, a shop's own.
var EventNames = []string{
	"order_placed", "order_paid", "order_shipped", "order_cancelled", "order_refunded",
	"account_created", "account_updated",
	"newsletter_optin", "newsletter_optout", "sms_optin", "sms_optout",
	"cart_updated", "checkout_started",
	"product_viewed", "search", "page_viewed",
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
