// Package linkedin sends events to LinkedIn's Conversions API
// (https://learn.microsoft.com/en-us/linkedin/marketing/integrations/ads-reporting/conversions-api), each to the
// conversion rule that the configuration has for it. docs/destinations/linkedin.md says what is sent, and what
// about LinkedIn is inferred and not documented.
package linkedin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
)

// Defaults of Options. LinkedIn keeps each version of its API for a year.
const (
	DefaultBaseURL = "https://api.linkedin.com/rest"
	DefaultVersion = "202608"
)

// ruleURN stands before the id of a conversion rule.
const ruleURN = "urn:lla:llaPartnerConversion:"

// limits of one request. LinkedIn states the number of events; the size bounds kvit's own memory.
var limits = destination.Limits{Events: 5000, Bytes: 4 << 20}

const (
	// maxAge is within which LinkedIn takes an event.
	maxAge = 90 * 24 * time.Hour
	// maxAnswer has room for a word about each event of a full request.
	maxAnswer = 1 << 20
)

// Options are the settings of a LinkedIn.
type Options struct {
	AccountID string            // of the ad account
	Token     config.Secret     // an access token with rw_conversions and r_ads
	Rules     map[string]string // the id of the conversion rule of each event, or its URN
	Version   string            // of the API, the month: default DefaultVersion
	BaseURL   string            // default DefaultBaseURL
	HTTP      destination.ClientOptions
}

// LinkedIn is a destination.Batcher. Safe for concurrent use.
type LinkedIn struct {
	rules   destination.Mapping
	account string
	url     string
	version string
	bearer  string
	client  *destination.Client
}

// New returns a LinkedIn, or an error that names the wrong option.
func New(options Options) (*LinkedIn, error) {
	base := cmp.Or(options.BaseURL, DefaultBaseURL)
	local, err := destination.CheckAddress(base)
	switch {
	case err != nil:
		return nil, fmt.Errorf("base_url: %w", err)
	case accountID(options.AccountID) != "":
		return nil, errors.New("account_id: must be at most 20 digits")
	case !destination.IsVisibleASCII(options.Token.Reveal()):
		return nil, errors.New("token: is required, in visible ASCII characters")
	case version(cmp.Or(options.Version, DefaultVersion)) != "":
		return nil, errors.New("version: must be a month such as 202608")
	}
	rules, err := rulesOf(options.Rules)
	if err != nil {
		return nil, err
	}
	options.HTTP.AllowPrivate, options.HTTP.MaxAnswer = options.HTTP.AllowPrivate || local, maxAnswer
	return &LinkedIn{
		rules: rules, account: options.AccountID, version: cmp.Or(options.Version, DefaultVersion),
		url:    strings.TrimRight(base, "/"),
		bearer: "Bearer " + options.Token.Reveal(),
		client: destination.NewClient(options.HTTP),
	}, nil
}

func rulesOf(given map[string]string) (destination.Mapping, error) {
	if len(given) == 0 {
		return nil, errors.New("rules: are required, one for each event that is sent")
	}
	rules := destination.Mapping{}
	for _, event := range slices.Sorted(maps.Keys(given)) {
		if problem := cmp.Or(eventName(event), rule(given[event])); problem != "" {
			return nil, fmt.Errorf("rules.%s: %s", event, problem)
		}
		rules[event] = strings.TrimPrefix(given[event], ruleURN)
	}
	return rules, rules.OneSale()
}

// Traits gives the events that have a rule. LinkedIn documents that it drops an event which its own tag has reported
// under the same id, and nothing about two of the API: a repeat may count once more.
func (l *LinkedIn) Traits() destination.Traits {
	events := l.rules.Events()
	return destination.Traits{Events: events, MaxAge: maxAge, CountedAgain: events, Batch: limits}
}

// Send posts one event.
func (l *LinkedIn) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, l, event)
}

// Encode writes an event of the list of elements.
func (l *LinkedIn) Encode(e destination.Event) (destination.Encoded, *destination.Error) {
	id, ok := l.rules.Of(e.Name)
	if !ok {
		return destination.Encoded{}, destination.Reject("name: is not an event that this destination sends")
	}
	written, rejected := newConversion(e, ruleURN+id)
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	return destination.Encoded{Body: destination.JSON(written)}, nil
}

// SendBatch posts items in one request, and reads what became of each.
func (l *LinkedIn) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	body := destination.Join(`{"elements":[`, items, `]}`)
	answer, failed := l.client.PostJSON(ctx, l.url+"/conversionEvents", body, append(l.headers(), "X-RestLi-Method", "BATCH_CREATE")...)
	if failed != nil {
		return nil, failed
	}
	return judge(answer, len(items))
}

func (l *LinkedIn) headers() []string {
	return []string{"Authorization", l.bearer, "LinkedIn-Version", l.version, "X-Restli-Protocol-Version", "2.0.0"}
}

// Prove looks each rule up: it has to be of this account, enabled, and one for the Conversions API.
func (l *LinkedIn) Prove(ctx context.Context) (string, error) {
	for _, event := range slices.Sorted(maps.Keys(l.rules)) {
		if failed := l.look(ctx, event); failed != nil {
			return "", failed
		}
	}
	return "the token reads the conversion rules, and they take events; not proved that it may send any", nil
}

func (l *LinkedIn) look(ctx context.Context, event string) *destination.Error {
	address := l.url + "/conversions/" + l.rules[event] + "?account=" + url.QueryEscape("urn:li:sponsoredAccount:"+l.account)
	answer, failed := l.client.Get(ctx, address, l.headers()...)
	if failed != nil {
		return failed
	}
	if judged := judgeRequest(answer); judged != nil {
		if answer.Status == http.StatusNotFound || answer.Status == http.StatusBadRequest {
			judged = misconfigured(answer.Status, "rules."+event+": LinkedIn knows no such conversion rule in this account")
		}
		return judged
	}
	found := gjson.ParseBytes(answer.Body)
	switch {
	case found.Get("conversionMethod").String() != "CONVERSIONS_API":
		return misconfigured(answer.Status, "rules."+event+": the conversion rule is not one for the Conversions API")
	case found.Get("enabled").Type == gjson.False:
		return misconfigured(answer.Status, "rules."+event+": the conversion rule is disabled")
	}
	return nil
}

func misconfigured(code int, reason string) *destination.Error {
	return &destination.Error{Kind: destination.Misconfigured, Code: code, Reason: reason}
}
