package matomo

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kvit/config"
	"kvit/destination"
)

// The values of Options.UserID: when customer.id is sent as Matomo's user id. A user id outweighs the
// visitor id, so that an order with one is not put into the visit that the browser began without it.
const (
	Fallback = "fallback" // if there is no visitor id
	Always   = "always"   // the browser's tracker sets the same user id
	Never    = "never"
)

// Options are the settings of a Matomo. What is empty takes the default, where one is named.
type Options struct {
	BaseURL string // where Matomo is; /matomo.php is added
	SiteID  int
	// TokenAuth is the token of a user with write permission on the site.
	TokenAuth config.Secret
	UserID    string // Fallback (default), Always or Never
	// RepeatedOrderIs400 takes the refusal of a lone order, by status 400 or as invalid, for the answer
	// to a repeat: for an installation that was seen to answer so.
	RepeatedOrderIs400 bool
	Events             map[string]string // changes to the default forms and names
	HTTP               destination.ClientOptions
}

// The forms that an event can have. Any other name is a Matomo event, written category/action.
const (
	formOrder   = "order"
	formCart    = "cart"
	formPage    = "page"
	formProduct = "product"
	formSearch  = "search"
)

// formsFor are the events that hold what a form needs.
var formsFor = map[string][]string{
	formOrder:   {"order_placed", "order_paid", "order_shipped"},
	formCart:    {"cart_updated", "checkout_started"},
	formPage:    {"page_viewed"},
	formProduct: {"product_viewed"},
	formSearch:  {"search"},
}

var defaults = destination.Mapping{
	"order_paid": formOrder, "cart_updated": formCart,
	"page_viewed": formPage, "product_viewed": formProduct, "search": formSearch,
	"account_created":  "Account/Created",
	"newsletter_optin": "Newsletter/Opt-in", "newsletter_optout": "Newsletter/Opt-out",
	"sms_optin": "SMS/Opt-in", "sms_optout": "SMS/Opt-out",
	"checkout_started":    "Checkout/Started",
	"shipping_info_given": "Checkout/Shipping given", "payment_info_given": "Checkout/Payment given",
	"cart_item_removed": "Cart/Item removed", "wishlist_item_added": "Wishlist/Item added",
	"promotion_viewed": "Promotion/Viewed", "promotion_selected": "Promotion/Selected", "logged_in": "Account/Logged in",
	destination.AnyCustom: destination.OwnName,
}

// settings are Options that were checked and filled in.
type settings struct {
	Options
	mapping destination.Mapping
	site    string
}

func newSettings(options Options) (settings, error) {
	s := settings{Options: options, site: strconv.Itoa(options.SiteID)}
	s.UserID = cmp.Or(s.UserID, Fallback)
	s.BaseURL = strings.TrimRight(s.BaseURL, "/")
	switch {
	case s.BaseURL == "":
		return settings{}, errors.New("base_url: is required")
	case strings.ContainsAny(s.BaseURL, "?#") || strings.HasSuffix(s.BaseURL, ".php"):
		return settings{}, errors.New("base_url: must be the address without matomo.php, query or fragment")
	case s.SiteID < 1:
		return settings{}, errors.New("site_id: must be a number from 1")
	case !s.TokenAuth.IsSet():
		return settings{}, errors.New("token_auth: is required")
	case !slices.Contains([]string{Fallback, Always, Never}, s.UserID):
		return settings{}, fmt.Errorf("user_id: must be %s, %s or %s", Fallback, Always, Never)
	}
	var err error
	if s.mapping, err = defaults.Changed(s.Events, nameProblem); err != nil {
		return settings{}, err
	}
	local, err := destination.CheckAddress(s.BaseURL)
	if err != nil {
		return settings{}, fmt.Errorf("base_url: %w", err)
	}
	s.HTTP.AllowPrivate = s.HTTP.AllowPrivate || local
	return s, nil
}

func nameProblem(event, called string) string {
	fitting, isForm := formsFor[called]
	category, action := nameOf(called)
	switch {
	case isForm && !slices.Contains(fitting, event):
		return "cannot be recorded as " + called
	case !isForm && (category == "" || action == ""):
		return "must be a form, or a name written category/action"
	}
	return ""
}

// form is the form of an event, or empty for a Matomo event, which every custom one is: its own name may
// be that of a form.
func form(event, called string) string {
	if _, isForm := formsFor[called]; isForm && !strings.HasPrefix(event, destination.CustomPrefix) {
		return called
	}
	return ""
}

// nameOf are the category and the action of a Matomo event; blank ones are as good as none to Matomo.
func nameOf(called string) (category, action string) {
	category, action, both := strings.Cut(called, "/")
	if !both {
		category, action = "Shop", category
	}
	return strings.TrimSpace(category), strings.TrimSpace(action)
}
