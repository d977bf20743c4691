package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kvit/destination/ga4/ga4test"
	"kvit/destination/googleads/googleadstest"
	"kvit/destination/klaviyo/klaviyotest"
	"kvit/destination/linkedin/linkedintest"
	"kvit/destination/matomo/matomotest"
	"kvit/destination/meta/metatest"
	"kvit/destination/microsoftuet/microsoftuettest"
	"kvit/destination/pinterest/pinteresttest"
	"kvit/destination/reddit/reddittest"
	"kvit/destination/snap/snaptest"
	"kvit/destination/snowplow/snowplowtest"
	"kvit/destination/tiktok/tiktoktest"
	"kvit/destination/trustpilot/trustpilottest"
)

// provider is one that only the whole demo has. Its destination is called as its kind is.
type provider struct {
	Kind     string
	Settings []string // its own lines in kvit.yaml; %URL% in them is the address without Path
	Path     string   // behind the host in its address

	secret string
	http   *receiver
	split  func(body []byte) [][]byte
	server http.Handler
	count  func() tally
}

// termsOf are by the name of the destination, which is its kind.
var termsOf = map[string]terms{
	"spread":        {purpose: "marketing"},
	"webhook":       {purpose: "analytics"},
	"ga4":           {purpose: "analytics", needsItems: true, onceOnly: []string{"order_paid"}},
	"google_ads":    {purpose: "marketing", onceOnly: []string{}, states: []string{"order_paid", "order_cancelled"}},
	"trustpilot":    {purpose: "marketing", onceOnly: []string{}},
	"meta":          {purpose: "marketing", needsItems: true},
	"tiktok":        {purpose: "marketing", needsItems: true},
	"pinterest":     {purpose: "marketing", needsItems: true},
	"matomo":        {purpose: "analytics", onceOnly: []string{"order_paid"}, states: []string{"cart_updated"}},
	"klaviyo":       {purpose: "marketing", needsItems: true, states: []string{"newsletter_optout", "sms_optout"}, onceOnly: metrics},
	"microsoft_uet": {purpose: "marketing", needsItems: true},
	"snap":          {purpose: "marketing", needsItems: true},
	"reddit":        {purpose: "marketing", needsItems: true},
	"linkedin":      {purpose: "marketing", onceOnly: []string{}},
	"snowplow":      {purpose: "analytics"},
}

// metrics are what Klaviyo is told as events, and not as a change of a consent.
var metrics = []string{
	"order_placed", "order_paid", "order_shipped", "order_cancelled", "account_created", "cart_updated",
	"checkout_started", "product_viewed", "search", "page_viewed", "custom:engraving_chosen",
}

// tally is what a provider has counted.
type tally struct {
	once     int // events of which it knows a repeat
	again    int // events of which it counts a repeat as one more
	states   int // events by which a repeat overwrites the same
	repeats  int // that it knew
	refused  int
	refusals []string // names of fields, no values
}

// URL is where the provider is.
func (p *provider) URL() string { return p.http.url + p.Path }

// Secret is the name of the variable in which kvit finds its secret.
func (p *provider) Secret() string { return strings.ToUpper(p.Kind) + "_SECRET" }

// Consent is the purpose of its destination.
func (p *provider) Consent() string { return termsOf[p.Kind].purpose }

// providerEveryNth is how often trouble comes to each of them.
const providerEveryNth = 25

func startProviders(ctx context.Context) ([]*provider, error) {
	var started []*provider
	for _, invent := range []func(secret string) *provider{
		inventGA4, inventMeta, inventTikTok, inventPinterest, inventMatomo, inventKlaviyo, inventMicrosoftUET, inventSnap, inventReddit,
		inventLinkedIn, inventSnowplow, inventGoogleAds, inventTrustpilot,
	} {
		secret := rand.Text()
		p := invent(secret)
		p.secret = secret
		t := newTrouble(p.server, providerEveryNth)
		t.split, t.rest, t.again = p.split, 3, func() int { return p.count().again }
		var err error
		if p.http, err = listenAs(ctx, t); err != nil {
			return nil, errors.Join(err, (&receivers{more: started}).stop())
		}
		for i, line := range p.Settings {
			p.Settings[i] = strings.ReplaceAll(line, "%URL%", p.http.url)
		}
		started = append(started, p)
	}
	return started, nil
}

// repeats is how many repeats the provider has noticed.
func (p *provider) repeats() int { return p.count().repeats }

func inventGA4(secret string) *provider {
	const id = "G-EXAMPLE123"
	s := ga4test.New(ga4test.Options{MeasurementID: id, APISecret: secret, Now: time.Now})
	return &provider{
		Kind: "ga4", Settings: []string{"measurement_id: " + id, "api_secret: ${GA4_SECRET}", "user_data: true"},
		server: s, split: batch("events"), count: func() tally {
			t := tally{repeats: s.Counts().Repeats, refused: s.Counts().Refused, refusals: s.Refusals()}
			for name, n := range s.Events() {
				if name == "purchase" {
					t.once += n
				} else {
					t.again += n
				}
			}
			return t
		},
	}
}

func inventMeta(secret string) *provider {
	const id = "1234567890"
	s := metatest.New(id, secret, time.Now)
	return &provider{
		Kind: "meta", Settings: []string{fmt.Sprintf("dataset_id: %q", id), "access_token: ${META_SECRET}"},
		server: s, split: batch("data"), count: func() tally {
			c := s.Counts()
			return tally{once: c.Events, repeats: c.Repeats, refused: c.Refused, refusals: s.Refusals()}
		},
	}
}

func inventTikTok(secret string) *provider {
	const id = "CEXAMPLE123"
	s := tiktoktest.New(id, secret, time.Now)
	return &provider{
		Kind: "tiktok", Settings: []string{"event_source_id: " + id, "access_token: ${TIKTOK_SECRET}"},
		server: s, split: batch("data"), count: func() tally {
			c := s.Counts()
			return tally{once: c.Events, repeats: c.Repeats, refused: c.Refused, refusals: s.Refusals()}
		},
	}
}

func inventPinterest(secret string) *provider {
	const id = "123456789012"
	s := pinteresttest.New(id, secret, time.Now)
	return &provider{
		Kind: "pinterest", Settings: []string{fmt.Sprintf("ad_account_id: %q", id), "token: ${PINTEREST_SECRET}"}, Path: "/v5",
		server: s, split: batch("data"), count: func() tally {
			c := s.Counts()
			return tally{once: c.Events + c.Twice, repeats: c.Repeats, refused: c.Refused + c.Failed, refusals: s.Refusals()}
		},
	}
}

func inventMatomo(secret string) *provider {
	s := matomotest.New("1", secret, nil)
	return &provider{
		Kind: "matomo", Settings: []string{"site_id: 1", "token_auth: ${MATOMO_SECRET}"},
		server: s, split: batch("requests"), count: func() tally {
			c := s.Counts()
			return tally{
				once: c.Orders, states: c.Carts, again: c.Actions, repeats: c.Repeats,
				refused: c.Refused + c.Invalid, refusals: s.Refusals(),
			}
		},
	}
}

func inventKlaviyo(secret string) *provider {
	s := klaviyotest.New(secret, nil)
	return &provider{
		Kind: "klaviyo", Settings: []string{"api_key: ${KLAVIYO_SECRET}"},
		server: s, split: whole, count: func() tally {
			c := s.Counts()
			return tally{
				once: c.Events, states: c.Unsubscribed, again: c.Subscribed, repeats: c.Repeats,
				refused: c.Refused, refusals: s.Refusals(),
			}
		},
	}
}

func inventMicrosoftUET(secret string) *provider {
	const id = "123456789"
	s := microsoftuettest.New(id, secret, time.Now)
	return &provider{
		Kind: "microsoft_uet", Settings: []string{fmt.Sprintf("tag_id: %q", id), "token: ${MICROSOFT_UET_SECRET}"}, Path: "/v1",
		server: s, split: batch("data"), count: func() tally {
			c := s.Counts()
			return tally{once: c.Events, repeats: c.Repeats, refused: c.Refused + c.Failed, refusals: s.Refusals()}
		},
	}
}

func inventSnap(secret string) *provider {
	const id = "00000000-0000-4000-8000-000000000000"
	s := snaptest.New(id, secret, time.Now)
	return &provider{
		Kind: "snap", Settings: []string{"pixel_id: " + id, "access_token: ${SNAP_SECRET}"}, Path: "/v3",
		server: s, split: batch("data"), count: func() tally {
			c := s.Counts()
			return tally{once: c.Events, repeats: c.Repeats, refused: c.Refused, refusals: s.Refusals()}
		},
	}
}

func inventReddit(secret string) *provider {
	const id = "a2_example"
	s := reddittest.New(id, secret, time.Now)
	return &provider{
		Kind: "reddit", Settings: []string{"pixel_id: " + id, "token: ${REDDIT_SECRET}"}, Path: "/api/v3",
		server: s, split: batch("data.events"), count: func() tally {
			c := s.Counts()
			return tally{once: c.Events, repeats: c.Repeats, refused: c.Refused, refusals: s.Refusals()}
		},
	}
}

// inventLinkedIn has a rule for some of the events alone, as a shop would.
func inventLinkedIn(secret string) *provider {
	const account, sale, cart, view = "512345678", "104012", "104013", "104014"
	takes := linkedintest.Rule{Method: "CONVERSIONS_API"}
	s := linkedintest.New(linkedintest.Options{
		AccountID: account, Token: secret, Rules: map[string]linkedintest.Rule{sale: takes, cart: takes, view: takes}, Now: time.Now,
	})
	return &provider{
		Kind: "linkedin", Path: "/rest", Settings: []string{
			fmt.Sprintf("account_id: %q", account), "token: ${LINKEDIN_SECRET}",
			fmt.Sprintf("rules: {order_paid: %q, cart_updated: %q, product_viewed: %q}", sale, cart, view),
		},
		server: s, split: batch("elements"), count: func() tally {
			c := s.Counts()
			return tally{again: c.Events + c.Twice, refused: c.Refused, refusals: s.Refusals()}
		},
	}
}

// inventSnowplow has no secret: a collector takes from anybody.
func inventSnowplow(string) *provider {
	s := snowplowtest.New(snowplowtest.Options{AppID: "demo"})
	return &provider{
		Kind: "snowplow", Settings: []string{"app_id: demo"},
		server: s, split: batch("data"), count: func() tally {
			c := s.Counts()
			return tally{once: c.Events, repeats: c.Repeats, refused: c.Refused + c.Failed + c.Changed, refusals: s.Refusals()}
		},
	}
}

func inventGoogleAds(secret string) *provider {
	const customer, action = "1234567890", "987654321"
	s := googleadstest.New(googleadstest.Options{CustomerID: customer, Action: action, RefreshToken: secret, Now: time.Now})
	return &provider{
		Kind: "google_ads", Path: "/v1", Settings: []string{
			fmt.Sprintf("customer_id: %q", customer), fmt.Sprintf("conversion_action: %q", action),
			"oauth: {client_id: " + googleadstest.ClientID + ", client_secret: \"${GOOGLE_ADS_SECRET}\", refresh_token: \"${GOOGLE_ADS_SECRET}\", token_url: %URL%/token}",
		},
		server: s, split: batch("events"), count: func() tally {
			c := s.Counts()
			return tally{states: c.Conversions + c.Adjusted + c.Repeats, repeats: c.Repeats, refused: c.Refused, refusals: s.Refusals()}
		},
	}
}

func inventTrustpilot(secret string) *provider {
	s := trustpilottest.New(secret, secret)
	return &provider{
		Kind: "trustpilot", Path: "/v1", Settings: []string{
			"business_unit_id: " + trustpilottest.BusinessUnitID, "business_user_id: " + trustpilottest.BusinessUserID, "template_id: " + trustpilottest.TemplateID,
			"api_key: ${TRUSTPILOT_SECRET}", "api_secret: ${TRUSTPILOT_SECRET}", "token_url: %URL%/token",
		},
		server: s, split: whole, count: func() tally {
			c := s.Counts()
			return tally{again: c.Invitations, refused: c.Refused, refusals: s.Refusals()}
		},
	}
}
