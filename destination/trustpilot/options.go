package trustpilot

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kvit/config"
	"kvit/destination"
)

const (
	// DefaultBaseURL is where the API is.
	DefaultBaseURL = "https://invitations-api.trustpilot.com/v1"
	// DefaultTokenURL is where Trustpilot gives access tokens.
	DefaultTokenURL = "https://api.trustpilot.com/v1/oauth/oauth-business-users-for-applications/accesstoken" //nolint:gosec // an address
	// DefaultDelay is the one that Trustpilot recommends (https://support.trustpilot.com/hc/en-us/articles/214995348).
	DefaultDelay = 7 * 24 * time.Hour
	// DefaultLocale is for customers whose language is unknown, or not one of the locales.
	DefaultLocale = "en-US"
)

// invitation is what an event is called that invites the customer.
const invitation = "invitation"

var defaults = destination.Mapping{"order_shipped": invitation}

// Options are the settings of a Trustpilot. What is empty takes the default, where one is named.
type Options struct {
	BusinessUnitID    string
	BusinessUserID    string // of an admin or a manager, on whose behalf kvit acts
	APIKey            config.Secret
	APISecret         config.Secret
	TemplateID        string            // of the invitation to review the shop
	Products          bool              // invite to review the products as well; Trustpilot has to have the catalogue
	ProductTemplateID string            // of that invitation; empty: Trustpilot's choice
	Delay             time.Duration     // from the event to the mail; 0: at once
	Locale            string            // default DefaultLocale
	Locales           map[string]string // changes to defaultLocales
	RedirectURI       string            // where the customer goes after the review; empty: Trustpilot's choice
	SenderName        string            // likewise
	SenderEmail       string            // likewise
	ReplyTo           string            // likewise
	Tags              []string          // of the reviews
	Events            map[string]string // changes to the default mapping; empty: not sent
	TokenURL          string            // default DefaultTokenURL
	BaseURL           string            // default DefaultBaseURL
	HTTP              destination.ClientOptions
}

// defaultLocales are by language, as senders of invitations have them
// (https://github.com/trustpilot/node-trustpilot/issues/104).
var defaultLocales = map[string]string{
	"en": "en-US", "da": "da-DK", "de": "de-DE", "nl": "nl-NL", "es": "es-ES", "sv": "sv-SE", "pt": "pt-BR", "fr": "fr-FR",
	"nb": "nb-NO", "no": "nb-NO", "nn": "nb-NO", "ru": "ru-RU", "fi": "fi-FI", "pl": "pl-PL", "ja": "ja-JP", "it": "it-IT", "zh": "zh-CN",
}

// settings are Options that were checked and filled in.
type settings struct {
	Options
	events  destination.Mapping
	locales map[string]string
	unit    string // the address of the business unit
	token   destination.TokenOptions
}

func newSettings(o Options) (settings, error) {
	o.Locale = cmp.Or(o.Locale, DefaultLocale)
	if err := o.check(); err != nil {
		return settings{}, err
	}
	events, err := mappingOf(o.Events)
	if err != nil {
		return settings{}, err
	}
	base, tokens := cmp.Or(o.BaseURL, DefaultBaseURL), cmp.Or(o.TokenURL, DefaultTokenURL)
	local, err := destination.CheckAddress(base)
	if err != nil {
		return settings{}, fmt.Errorf("base_url: %w", err)
	}
	tokensLocal, err := destination.CheckAddress(tokens)
	if err != nil {
		return settings{}, fmt.Errorf("token_url: %w", err)
	}
	o.HTTP.AllowPrivate = o.HTTP.AllowPrivate || local || tokensLocal
	locales := maps.Clone(defaultLocales)
	maps.Copy(locales, o.Locales)
	return settings{
		Options: o, events: events, locales: locales, token: tokenOptions(o, tokens),
		unit: strings.TrimRight(base, "/") + "/private/business-units/" + o.BusinessUnitID,
	}, nil
}

func (o Options) check() error {
	for _, id := range []struct{ key, value string }{
		{"business_unit_id", o.BusinessUnitID}, {"business_user_id", o.BusinessUserID}, {"template_id", o.TemplateID},
	} {
		if objectID(id.value) != "" {
			return errors.New(id.key + ": must be letters and digits")
		}
	}
	switch {
	case !destination.IsVisibleASCII(o.APIKey.Reveal()):
		return errors.New("api_key: is required, in visible ASCII characters")
	case !destination.IsVisibleASCII(o.APISecret.Reveal()):
		return errors.New("api_secret: is required, in visible ASCII characters")
	case o.Delay < 0:
		return errors.New("delay: must not be below 0")
	case o.ProductTemplateID != "" && !o.Products:
		return errors.New("product_template_id: wants products: true")
	}
	return nil
}

// tokenOptions are those of https://developers.trustpilot.com/grant-type-client-credentials.
func tokenOptions(o Options, address string) destination.TokenOptions {
	credentials := base64.StdEncoding.EncodeToString([]byte(o.APIKey.Reveal() + ":" + o.APISecret.Reveal()))
	form := url.Values{"grant_type": {"client_credentials"}}
	return destination.TokenOptions{
		Address: address, Header: http.Header{"Authorization": {"Basic " + credentials}},
		Grant: func(time.Time) (url.Values, error) { return form, nil },
	}
}

// mappingOf lets one event of an order invite: Trustpilot would send a mail for each.
func mappingOf(changes map[string]string) (destination.Mapping, error) {
	events, err := defaults.Changed(changes, func(_, called string) string {
		if called == invitation {
			return ""
		}
		return "must be invitation, or off"
	})
	switch {
	case err != nil:
		return nil, err
	case len(events) > 1:
		return nil, errors.New("events: must be one alone, or a customer is invited more than once for an order; switch order_shipped off")
	case events[destination.AnyCustom] != "":
		return nil, errors.New("events: custom:* is any number of events, and a customer would be invited by each")
	}
	for event, called := range events {
		if called == destination.OwnName {
			return nil, fmt.Errorf("events.%s: must be invitation, or off", event)
		}
	}
	return events, nil
}
