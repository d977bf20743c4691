package snowplow

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"kvit/destination"
)

// The names that have a form of their own at Snowplow. Any other is the action of a structured event.
const (
	pageView     = "page_view"
	transaction  = "transaction"
	refund       = "refund"
	addToCart    = "add_to_cart"
	checkoutStep = "checkout_step"
	productView  = "product_view"
)

// notMade are actions of e-commerce that need something no payload has.
var notMade = []string{"remove_from_cart", "list_view", "list_click", "promo_view", "promo_click", "trns_error"}

// defaults sends every event. cart_updated is structured, since it is about a whole cart, of which
// add_to_cart would say each time that all of it was added.
var defaults = destination.Mapping{
	"order_placed":      "order_placed",
	"order_paid":        transaction,
	"order_shipped":     "order_shipped",
	"order_cancelled":   "order_cancelled",
	"order_refunded":    refund,
	"account_created":   "account_created",
	"account_updated":   "account_updated",
	"newsletter_optin":  "newsletter_optin",
	"newsletter_optout": "newsletter_optout",
	"sms_optin":         "sms_optin",
	"sms_optout":        "sms_optout",
	"cart_updated":      "cart_updated",
	"checkout_started":  checkoutStep,
	"product_viewed":    productView,
	"search":            "search",
	"page_viewed":       pageView,

	"order_partly_refunded": "order_partly_refunded",
	"cart_item_removed":     "cart_item_removed",
	"wishlist_item_added":   "wishlist_item_added",
	"list_viewed":           "list_viewed",
	"shipping_info_given":   "shipping_info_given",
	"payment_info_given":    "payment_info_given",
	"promotion_viewed":      "promotion_viewed",
	"promotion_selected":    "promotion_selected",
	"logged_in":             "logged_in",

	destination.AnyCustom: destination.OwnName,
}

// maxText is how long the texts of a structured event may be
// (https://docs.snowplow.io/docs/fundamentals/canonical-event/).
const maxText = 1000

func nameProblem(_, called string) string {
	switch {
	case utf8.RuneCountInString(called) > maxText:
		return fmt.Sprintf("must not be longer than %d characters", maxText)
	case slices.Contains(notMade, called):
		return "is an action that kvit cannot make"
	}
	return ""
}

// category is what a structured event is about: the first word of the event's name.
func category(name string) string {
	if strings.HasPrefix(name, destination.CustomPrefix) {
		return "custom"
	}
	if name == "logged_in" {
		return "account"
	}
	first, _, _ := strings.Cut(name, "_")
	return first
}
