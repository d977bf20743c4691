// Package trustpilot has Trustpilot invite the customers of a shop to review it, by the Invitations API
// (https://developers.trustpilot.com/invitation-api). docs/destinations/trustpilot.md says what is sent, and what about
// Trustpilot is inferred and not documented.
package trustpilot

import (
	"bytes"
	"context"
	"net/http"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// Trustpilot is a destination. Safe for concurrent use.
type Trustpilot struct {
	settings
	client *destination.Client
	tokens *destination.Tokens
}

var _ interface {
	destination.Destination
	destination.Prober
	destination.Redactor
} = (*Trustpilot)(nil)

// New returns a Trustpilot, or an error that names the wrong option.
func New(options Options) (*Trustpilot, error) {
	s, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	client := destination.NewClient(s.HTTP)
	return &Trustpilot{settings: s, client: client, tokens: destination.NewTokens(client, s.token)}, nil
}

// Traits tells that nothing is known of how Trustpilot treats a repeat: another mail would go out.
func (t *Trustpilot) Traits() destination.Traits {
	return destination.Traits{Events: t.events.Events(), CountedAgain: t.events.Events()}
}

// Send asks for the one invitation of an order. Any 2xx says that Trustpilot has put it into its queue.
func (t *Trustpilot) Send(ctx context.Context, event destination.Event) (int, error) {
	if _, ok := t.events.Of(event.Name); !ok {
		return 0, destination.Reject("name: is not an event that this destination sends")
	}
	invited, rejected := t.newInvitation(event)
	if rejected != nil {
		return 0, rejected
	}
	answer, failed := t.do(ctx, http.MethodPost, "/email-invitations", destination.JSON(invited))
	if failed != nil {
		return failed.Code, failed
	}
	if judged := judge(answer, destination.Judge(answer.Status, answer.Header)); judged != nil {
		return answer.Status, judged
	}
	return answer.Status, nil
}

// Prove asks for the templates, of which those that are configured have to be some.
func (t *Trustpilot) Prove(ctx context.Context) (string, error) {
	answer, failed := t.do(ctx, http.MethodGet, "/templates", nil)
	if failed != nil {
		return "", failed
	}
	if judged := judge(answer, destination.Judge(answer.Status, answer.Header)); judged != nil {
		return "", judged
	}
	known := map[string]bool{"": true}
	for _, id := range gjson.GetBytes(answer.Body, "templates.#.id").Array() {
		known[id.Str] = true
	}
	switch {
	case len(known) == 1 || answer.Cut || !gjson.ValidBytes(answer.Body):
		return "Trustpilot accepts the credentials; not proved that it has the template, nor that they may invite", nil
	case !known[t.TemplateID]:
		return "", &destination.Error{Kind: destination.Misconfigured, Reason: "template_id: Trustpilot has no such template"}
	case !known[t.ProductTemplateID]:
		return "", &destination.Error{Kind: destination.Misconfigured, Reason: "product_template_id: Trustpilot has no such template"}
	}
	return "Trustpilot accepts the credentials and has the template; not proved that they may invite", nil
}

func (t *Trustpilot) do(ctx context.Context, method, path string, content []byte) (answer destination.Answer, failed *destination.Error) {
	failed = t.tokens.With(ctx, func(token string) *destination.Error {
		answer, failed = t.attempt(ctx, method, path, content, token)
		if failed == nil && answer.Status == http.StatusUnauthorized {
			return destination.Judge(answer.Status, answer.Header)
		}
		return failed
	})
	return answer, failed
}

func (t *Trustpilot) attempt(ctx context.Context, method, path string, content []byte, token string) (destination.Answer, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, method, t.unit+path, bytes.NewReader(content))
	if err != nil {
		return destination.Answer{}, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Business-User-Id", t.BusinessUserID)
	req.Header.Set("Accept", "application/json")
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return t.client.Do(req)
}

// judge adds to what the status alone says. The addresses are fixed, so that a 404 speaks of the business unit.
func judge(answer destination.Answer, judged *destination.Error) *destination.Error {
	if judged == nil {
		return nil
	}
	switch answer.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		judged.Kind, judged.Reason = destination.Misconfigured, "Trustpilot has nothing at this address: check business_unit_id and base_url"
	case http.StatusForbidden:
		judged.Reason = "Trustpilot does not let this user do that for this business unit: check business_unit_id and business_user_id"
	}
	return judged
}
