// Package spread sends events to SPREAD (https://help.spreadfamily.fr): accounts and orders through
// its API v1, carts through the automations of v3. docs/destinations/spread.md says what is sent for
// each event, and what about SPREAD is inferred and not documented.
package spread

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"kvit/destination"
)

// Spread is a destination. Safe for concurrent use.
type Spread struct {
	settings
	client *destination.Client
	log    *slog.Logger
	odd    sync.Once // the note about an answer that is no JSON
}

// New returns a Spread, or an error that names the wrong option.
func New(options Options) (*Spread, error) {
	settings, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	log := options.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Spread{settings: settings, client: destination.NewClient(settings.HTTP), log: log}, nil
}

// Traits names the events that the settings leave something to say about.
func (s *Spread) Traits() destination.Traits {
	events := []string{
		"order_placed", "order_paid", "order_shipped", "order_cancelled",
		"account_created", "account_updated", "newsletter_optin", "newsletter_optout",
	}
	if s.Grants.SMSOptin != "" {
		events = append(events, "sms_optin", "sms_optout")
	}
	if s.CartTrigger != "" {
		events = append(events, "cart_updated")
	}
	return destination.Traits{Events: events, States: slices.Clone(events)}
}

// Send makes the call that the event stands for. What is to be created and SPREAD knows already
// (409) is updated in the same attempt, and what is to be updated and SPREAD does not know (404) is
// created.
func (s *Spread) Send(ctx context.Context, event destination.Event) (int, error) {
	call, rejected := s.call(event)
	if rejected != nil {
		return 0, rejected
	}
	answer, failed := s.post(ctx, call.url, call.body)
	if failed == nil && call.instead != "" && answer.Status == call.refused {
		answer, failed = s.post(ctx, call.instead, call.body)
	}
	if failed != nil {
		return 0, failed
	}
	if judged := s.judge(answer); judged != nil {
		return answer.Status, judged
	}
	return answer.Status, nil
}

func (s *Spread) post(ctx context.Context, url, body string) (destination.Answer, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return destination.Answer{}, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.SetBasicAuth(s.PublicKey.Reveal(), s.PrivateKey.Reveal())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.client.Do(req)
}
