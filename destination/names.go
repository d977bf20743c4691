package destination

import (
	"slices"
	"strings"
)

// Names are the events a shop can write, beside "custom:<name>".
var Names = []string{
	"order_placed", "order_paid", "order_shipped", "order_cancelled", "order_refunded",
	"account_created", "account_updated",
	"newsletter_optin", "newsletter_optout", "sms_optin", "sms_optout",
	"cart_updated", "checkout_started", "product_viewed", "search", "page_viewed",
	"order_partly_refunded", "cart_item_removed", "wishlist_item_added", "list_viewed",
	"shipping_info_given", "payment_info_given", "promotion_viewed", "promotion_selected", "logged_in",
}

// CustomPrefix begins the name of an event that the shop made up.
const CustomPrefix = "custom:"

// AnyCustom stands for every custom event in a list of names.
const AnyCustom = "custom:*"

// IsName tells whether the name is one that a shop can write.
func IsName(name string) bool {
	return slices.Contains(Names, name) ||
		(strings.HasPrefix(name, CustomPrefix) && len(name) > len(CustomPrefix))
}
