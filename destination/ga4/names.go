package ga4

import (
	"strings"

	"kvit/destination"
)

// The names of Google's that need an order.
const (
	purchase = "purchase"
	refund   = "refund"
)

// defaults is what Google's reports know
// (https://developers.google.com/analytics/devguides/collection/ga4/reference/events), and a name of
// kvit's own for sms_optin. An order counts once: when it is paid.
var defaults = destination.Mapping{
	"order_paid":       purchase,
	"order_cancelled":  refund,
	"order_refunded":   refund,
	"account_created":  "sign_up",
	"newsletter_optin": "generate_lead",
	"sms_optin":        "sms_optin",
	"cart_updated":     "add_to_cart",
	"checkout_started": "begin_checkout",
	"product_viewed":   "view_item",
	"search":           "search",
	"page_viewed":      "page_view",

	"order_partly_refunded": refund, // with its lines, which Google takes for a part of the purchase
	"cart_item_removed":     "remove_from_cart",
	"wishlist_item_added":   "add_to_wishlist",
	"list_viewed":           "view_item_list",
	"shipping_info_given":   "add_shipping_info",
	"payment_info_given":    "add_payment_info",
	"promotion_viewed":      "view_promotion",
	"promotion_selected":    "select_promotion",
	"logged_in":             "login",

	destination.AnyCustom: destination.OwnName,
}

// reserved are names of events that Google keeps to itself
// (https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference#reserved_names).
var reserved = map[string]bool{
	"ad_activeview": true, "ad_click": true, "ad_exposure": true, "ad_impression": true, "ad_query": true,
	"ad_reward": true, "adunit_exposure": true, "app_background": true, "app_clear_data": true,
	"app_exception": true, "app_install": true, "app_remove": true, "app_store_refund": true,
	"app_store_subscription_cancel": true, "app_store_subscription_convert": true,
	"app_store_subscription_renew": true, "app_update": true, "app_upgrade": true,
	"dynamic_link_app_open": true, "dynamic_link_app_update": true, "dynamic_link_first_open": true,
	"error": true, "firebase_campaign": true, "first_open": true, "first_visit": true,
	"in_app_purchase": true, "notification_dismiss": true, "notification_foreground": true,
	"notification_open": true, "notification_receive": true, "os_update": true, "screen_view": true,
	"session_start": true, "user_engagement": true,
}

var reservedPrefixes = []string{"ga_", "google_", "firebase_", "gtag_"}

func isReserved(name string) bool {
	for _, prefix := range reservedPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return reserved[name]
}

func nameProblem(_, name string) string {
	switch {
	case !plainName.MatchString(name):
		return "must be up to 40 letters, digits and _, beginning with a letter"
	case isReserved(name):
		return "is reserved by Google"
	}
	return ""
}

// ownName makes what a shop calls its event into a name that Google takes. It never becomes a sale: those
// count as revenue, and have to be named in the configuration.
func ownName(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < 0x80 && plainName.MatchString("a"+string(r)) {
			return r
		}
		return '_'
	}, name)
	plain = strings.TrimLeft(plain, "_")
	if nameProblem("", destination.Cut(plain, 40)) != "" || plain == purchase || plain == refund {
		plain = "custom_" + plain
	}
	return destination.Cut(plain, 40)
}
