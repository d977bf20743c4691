// Package klaviyo sends events to Klaviyo: a metric of the person's profile by the call Create Event,
// opt-ins and opt-outs by the jobs that change a consent, erasure by the job that deletes a profile.
// docs/destinations/klaviyo.md says what is sent for each event. The API is described in
// https://github.com/klaviyo/openapi/tree/main/openapi/stable/apis (create_event, bulk_subscribe_profiles,
// bulk_unsubscribe_profiles, request_profile_deletion, get_accounts).
package klaviyo

import (
	"bytes"
	"context"
	"net/http"

	"kvit/destination"
)

const mediaType = "application/vnd.api+json"

// Klaviyo is a destination. Safe for concurrent use.
type Klaviyo struct {
	settings
	client *destination.Client
}

// New returns a Klaviyo, or an error that names the wrong option.
func New(options Options) (*Klaviyo, error) {
	settings, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	return &Klaviyo{settings: settings, client: destination.NewClient(settings.HTTP)}, nil
}

// Traits tells that Klaviyo recognises repeats by the unique id, but not those of a subscription: it
// lifts an earlier unsubscription, so that a late one would bring back somebody who has left since.
func (k *Klaviyo) Traits() destination.Traits {
	return destination.Traits{
		Events:       k.mapping.Events(),
		States:       k.mapping.Called(subscribe, unsubscribe),
		CountedAgain: k.mapping.Called(subscribe),
	}
}

// Send makes the one call that the event stands for. Any 2xx, 202 in practice, says that Klaviyo has
// validated the event and will process it.
func (k *Klaviyo) Send(ctx context.Context, event destination.Event) (int, error) {
	call, rejected := k.call(event)
	if rejected != nil {
		return 0, rejected
	}
	answer, failed := k.do(ctx, http.MethodPost, call.path, call.body)
	if failed != nil {
		return 0, failed
	}
	if judged := judge(answer); judged != nil {
		return answer.Status, judged
	}
	return answer.Status, nil
}

// Prove asks for the account that the key belongs to, which needs the scope accounts:read.
func (k *Klaviyo) Prove(ctx context.Context) (string, error) {
	answer, failed := k.do(ctx, http.MethodGet, "/api/accounts", nil)
	if failed != nil {
		return "", failed
	}
	if answer.Status == http.StatusForbidden {
		return "Klaviyo knows the key, which may not read the account (scope accounts:read); not proved that it may write", nil
	}
	if judged := judge(answer); judged != nil {
		return "", judged
	}
	return "Klaviyo accepts the key; not proved that it has the scopes for writing", nil
}

func (k *Klaviyo) do(ctx context.Context, method, path string, body []byte) (destination.Answer, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, method, k.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return destination.Answer{}, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Authorization", "Klaviyo-API-Key "+k.APIKey.Reveal())
	req.Header.Set("Revision", k.Revision)
	req.Header.Set("Accept", mediaType)
	if body != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	return k.client.Do(req)
}
