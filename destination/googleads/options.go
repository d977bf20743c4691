package googleads

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"kvit/config"
	"kvit/destination"
)

const (
	// DefaultBaseURL is where the API is.
	DefaultBaseURL = "https://datamanager.googleapis.com/v1"
	// DefaultTokenURL is where Google gives access tokens.
	DefaultTokenURL = "https://oauth2.googleapis.com/token" //nolint:gosec // an address

	scope = "https://www.googleapis.com/auth/datamanager"
)

// What an event of an order does to the conversion of the order. Any other name is the id of a conversion action of
// its own.
const (
	purchase = "purchase" // the sale, with its total
	restate  = "restate"  // what is left of its total
	retract  = "retract"  // nothing is left
)

// defaults is what is done by the shop's events. A sale counts once, when it is paid.
var defaults = destination.Mapping{
	"order_paid":      purchase,
	"order_cancelled": retract,
	"order_refunded":  retract,
	partlyRefunded:    restate,
}

// Options are the settings of a GoogleAds. What is empty takes the default, where one is named.
type Options struct {
	CustomerID        string            // 10 digits: the account that owns the conversion action
	LoginCustomerID   string            // 10 digits: a manager account that the credentials belong to; empty: CustomerID
	ConversionAction  string            // digits: what a sale is in Google Ads
	UserData          bool              // send hashes of the customer, for enhanced conversions
	AdUserData        string            // the purpose whose acceptance is adUserData; default marketing
	AdPersonalization string            // likewise adPersonalization; default marketing
	MerchantID        string            // digits: the Merchant Center account whose products are sold; empty: no lines are sent
	FeedLabel         string            // of the feed that the products are in, such as DK
	FeedLanguage      string            // likewise, two letters
	ServiceAccount    config.Secret     // the JSON key; or OAuth
	OAuth             OAuth             // or ServiceAccount
	Events            map[string]string // changes to the default mapping; empty: not sent
	BaseURL           string            // default DefaultBaseURL
	HTTP              destination.ClientOptions
}

// OAuth is the grant of a user who may change the account.
type OAuth struct {
	ClientID     string
	ClientSecret config.Secret
	RefreshToken config.Secret
	TokenURL     string // default DefaultTokenURL
}

// settings are Options that were checked and filled in.
type settings struct {
	Options
	events destination.Mapping
	url    string
	token  destination.TokenOptions
}

func newSettings(o Options) (settings, error) {
	o.AdUserData, o.AdPersonalization = cmp.Or(o.AdUserData, "marketing"), cmp.Or(o.AdPersonalization, "marketing")
	switch {
	case customerID(o.CustomerID) != "":
		return settings{}, errors.New("customer_id: must be 10 digits")
	case o.LoginCustomerID != "" && customerID(o.LoginCustomerID) != "":
		return settings{}, errors.New("login_customer_id: must be 10 digits")
	case actionID(o.ConversionAction) != "":
		return settings{}, errors.New("conversion_action: must be at most 20 digits")
	}
	events, err := mappingOf(o.Events)
	if err != nil {
		return settings{}, err
	}
	base := cmp.Or(o.BaseURL, DefaultBaseURL)
	local, err := destination.CheckAddress(base)
	if err != nil {
		return settings{}, fmt.Errorf("base_url: %w", err)
	}
	token, tokenLocal, err := tokenOptions(o)
	if err != nil {
		return settings{}, err
	}
	o.HTTP.AllowPrivate = o.HTTP.AllowPrivate || local || tokenLocal
	return settings{Options: o, events: events, url: strings.TrimRight(base, "/") + "/events:ingest", token: token}, nil
}

func tokenOptions(o Options) (options destination.TokenOptions, local bool, err error) {
	switch {
	case o.ServiceAccount.IsSet():
		return accountToken(o.ServiceAccount.Reveal())
	case o.OAuth.ClientID != "" && o.OAuth.ClientSecret.IsSet() && o.OAuth.RefreshToken.IsSet():
		return userToken(o.OAuth)
	}
	return options, false, errors.New("service_account: is required, or oauth with client_id, client_secret and refresh_token")
}

func accountToken(key string) (options destination.TokenOptions, local bool, err error) {
	account, err := destination.ReadServiceAccount(key)
	if err != nil {
		return options, false, fmt.Errorf("service_account: %w", err)
	}
	if local, err = destination.CheckAddress(account.TokenURI()); err != nil {
		return options, false, fmt.Errorf("service_account: token_uri: %w", err)
	}
	return destination.TokenOptions{
		Address: account.TokenURI(),
		Grant:   func(now time.Time) (url.Values, error) { return account.Grant(scope, now) },
	}, local, nil
}

// userToken asks as RFC 6749, section 6, says.
func userToken(o OAuth) (options destination.TokenOptions, local bool, err error) {
	address := cmp.Or(o.TokenURL, DefaultTokenURL)
	if local, err = destination.CheckAddress(address); err != nil {
		return options, false, fmt.Errorf("oauth.token_url: %w", err)
	}
	form := url.Values{
		"grant_type": {"refresh_token"}, "client_id": {o.ClientID},
		"client_secret": {o.ClientSecret.Reveal()}, "refresh_token": {o.RefreshToken.Reveal()},
	}
	return destination.TokenOptions{Address: address, Grant: func(time.Time) (url.Values, error) { return form, nil }}, local, nil
}

func mappingOf(changes map[string]string) (destination.Mapping, error) {
	events, err := defaults.Changed(changes, nameProblem)
	switch {
	case err != nil:
		return nil, err
	case slices.Contains(slices.Collect(maps.Values(events)), destination.OwnName):
		return nil, errors.New("events: a custom event's own name is not the id of a conversion action")
	}
	return events, events.OneSale(purchase)
}

func nameProblem(event, called string) string {
	switch {
	case isSale(called) && !strings.HasPrefix(event, "order_"):
		return called + " is for events of orders"
	case isSale(called), actionID(called) == "":
		return ""
	}
	return "must be the id of a conversion action, or purchase, restate or retract"
}

// isSale tells whether an event of this name is about the conversion of an order.
func isSale(called string) bool { return called == purchase || called == restate || called == retract }
