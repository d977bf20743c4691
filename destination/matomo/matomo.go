// Package matomo sends events to Matomo by the bulk form of its Tracking HTTP API
// (https://developer.matomo.org/api-reference/tracking-api). docs/destinations/matomo.md says what is
// sent for each event, and what about Matomo was read in its source and is not documented.
package matomo

import (
	"bytes"
	"context"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// Matomo states no limits of a request. These keep one well below the 8 MB that PHP takes by default,
// and its transaction short.
const (
	maxEvents = 200
	maxBytes  = 1 << 20
)

// The groups: what Matomo may be told twice, and what it would count twice.
const (
	repeatable = "repeatable"
	once       = "once"
)

// Matomo is a destination. Safe for concurrent use.
type Matomo struct {
	settings
	client *destination.Client
}

var (
	_ destination.Batcher = (*Matomo)(nil)
	_ destination.Prober  = (*Matomo)(nil)
)

// New returns a Matomo, or an error that names the wrong option.
func New(options Options) (*Matomo, error) {
	settings, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	return &Matomo{settings: settings, client: destination.NewClient(settings.HTTP)}, nil
}

// Traits tells that Matomo stores an order id once, keeps the latest cart of a visit, and counts
// everything else as often as it is told.
func (m *Matomo) Traits() destination.Traits {
	traits := destination.Traits{
		Events: m.mapping.Events(), States: m.mapping.Called(formCart),
		Batch: destination.Limits{Events: maxEvents, Bytes: maxBytes},
	}
	for _, event := range traits.Events {
		if m.groupOf(event) == once {
			traits.CountedAgain = append(traits.CountedAgain, event)
		}
	}
	return traits
}

func (m *Matomo) groupOf(event string) string {
	called, _ := m.mapping.Of(event)
	switch form(event, called) {
	case formOrder, formCart:
		return repeatable
	default:
		return once
	}
}

// Send sends one event as a batch of its own.
func (m *Matomo) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, m, event)
}

// Encode writes the event as a query string in a JSON string. Events that may be repeated share no
// request with others, because of what SendBatch does where Matomo does not say which were invalid.
func (m *Matomo) Encode(event destination.Event) (destination.Encoded, *destination.Error) {
	query, err := m.query(event)
	if err != nil {
		return destination.Encoded{}, err
	}
	// A query string holds nothing that JSON would escape.
	return destination.Encoded{Group: m.groupOf(event.Name), Body: []byte(`"?` + query + `"`)}, nil
}

// SendBatch posts the items. What the answer tells of each is decided by read.
func (m *Matomo) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	answer, failed := m.post(ctx, "/matomo.php", "application/json", m.body(items))
	if failed != nil {
		return nil, failed
	}
	return m.read(ctx, items, answer)
}

func (m *Matomo) body(items []destination.Encoded) []byte {
	return destination.Join(`{"requests":[`, items, `],"token_auth":`+string(destination.JSON(m.TokenAuth.Reveal()))+"}")
}

// Prove asks the Reporting API for the site, with the token in the body.
func (m *Matomo) Prove(ctx context.Context) (string, error) {
	if failed := m.seesSite(ctx); failed != nil {
		return "", failed
	}
	return "Matomo accepts the token and shows the site; not proved that it may write", nil
}

// seesSite fails as Unauthorized if Matomo does not show the site to the token. Any other failure says
// nothing about either: the Reporting API may be closed to this machine.
func (m *Matomo) seesSite(ctx context.Context) *destination.Error {
	call := url.Values{
		"module": {"API"}, "method": {"SitesManager.getSiteFromId"}, "format": {"JSON"},
		"idSite": {m.settings.site}, "token_auth": {m.TokenAuth.Reveal()},
	}
	answer, failed := m.post(ctx, "/index.php", "application/x-www-form-urlencoded", []byte(call.Encode()))
	if failed != nil {
		return failed
	}
	body := gjson.ParseBytes(answer.Body)
	valid := gjson.ValidBytes(answer.Body)
	if valid && body.Get("result").Str == "error" {
		return &destination.Error{Kind: destination.Unauthorized, Code: answer.Status, Reason: "Matomo does not show this site_id to this token_auth"}
	}
	if judged := destination.Judge(answer.Status, answer.Header); judged != nil {
		return judged
	}
	site := body.Get("idsite")
	if body.IsArray() { // before Matomo 4
		site = body.Get("0.idsite")
	}
	if !valid || site.String() != m.settings.site {
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "the Reporting API does not answer at base_url"}
	}
	return nil
}

func (m *Matomo) post(ctx context.Context, path, mediaType string, body []byte) (destination.Answer, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return destination.Answer{}, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Content-Type", mediaType)
	return m.client.Do(req)
}
