// Package generic sends events to providers that have no adapter of their own: kind http. The configuration says,
// for each event, which request is made of it, as templates over the event whose values are escaped for where
// they stand. docs/destinations/http.md is what operators read.
package generic

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"kvit/destination"
)

// Options are the settings of an HTTP, as the configuration has them.
type Options struct {
	HTTP destination.ClientOptions

	requests map[string]*request // by the event's name
	answers  answers
}

// HTTP is a destination whose requests the operator has written. Safe for concurrent use.
type HTTP struct {
	requests map[string]*request
	answers  answers
	client   *destination.Client
	tokens   map[*oauth2]*destination.Tokens
	traits   destination.Traits
}

// Proving is an HTTP whose credentials can be proved: its provider gives access tokens.
type Proving struct{ *HTTP }

// New returns the destination.
func New(options Options) (*HTTP, error) {
	if len(options.requests) == 0 {
		return nil, errors.New("requests: leaves no event to send")
	}
	settings := options.HTTP
	settings.IgnoreAnswer = options.answers.member == ""
	h := &HTTP{
		requests: options.requests, answers: options.answers,
		client: destination.NewClient(settings), traits: traits(options.requests),
	}
	h.tokens = tokensOf(options)
	return h, nil
}

// tokensOf makes what gives the access tokens of the requests.
func tokensOf(options Options) map[*oauth2]*destination.Tokens {
	all := map[*oauth2]*destination.Tokens{}
	for _, r := range options.requests {
		if a := r.auth; a != nil && a.oauth2 != nil && all[a.oauth2] == nil {
			all[a.oauth2] = destination.NewTokens(destination.NewClient(options.HTTP), a.oauth2.options())
		}
	}
	return all
}

// traits gives the events for which there is a request.
func traits(requests map[string]*request) (t destination.Traits) {
	names := destination.Mapping{}
	for name := range requests {
		names[name] = name
	}
	for _, event := range names.Events() {
		t.Events = append(t.Events, event)
		if requests[event].overwrites {
			t.States = append(t.States, event)
		}
		if requests[event].deduplicates == nil {
			t.CountedAgain = append(t.CountedAgain, event)
		}
	}
	return t
}

// Traits gives the events for which there is a request. How long a repeat is recognised is not known.
func (h *HTTP) Traits() destination.Traits { return h.traits }

// Send makes the request of an event.
func (h *HTTP) Send(ctx context.Context, event destination.Event) (int, error) {
	r := h.requestFor(event.Name)
	if r == nil {
		return 0, destination.Reject("name: is not an event that this destination sends")
	}
	code, failed := h.authorised(ctx, r, event)
	if failed != nil {
		return code, failed
	}
	return code, nil
}

// authorised makes a request, with an access token where it wants one.
func (h *HTTP) authorised(ctx context.Context, r *request, event destination.Event) (code int, failed *destination.Error) {
	if r.auth == nil || r.auth.oauth2 == nil {
		return h.attempt(ctx, r, event, "")
	}
	failed = h.tokens[r.auth.oauth2].With(ctx, func(token string) (failed *destination.Error) {
		code, failed = h.attempt(ctx, r, event, token)
		return failed
	})
	if failed != nil {
		return failed.Code, failed // maybe of the request for a token
	}
	return code, nil
}

func (h *HTTP) attempt(ctx context.Context, r *request, event destination.Event, token string) (int, *destination.Error) {
	req, failed := r.build(ctx, event)
	if failed != nil {
		return 0, failed
	}
	r.auth.sign(req, token, time.Now())
	answer, failed := h.client.Do(req)
	if failed != nil {
		return 0, failed
	}
	return answer.Status, h.answers.judge(answer, r.isPlain())
}

func (h *HTTP) requestFor(event string) *request {
	if r, ok := h.requests[event]; ok {
		return r
	}
	if strings.HasPrefix(event, destination.CustomPrefix) {
		return h.requests[destination.AnyCustom]
	}
	return nil
}

// Reach connects to each host that events go to and sends nothing.
func (h *HTTP) Reach(ctx context.Context) error {
	origins := map[string]bool{}
	for _, r := range h.requests {
		origins[r.address.origin] = true
	}
	for _, origin := range slices.Sorted(maps.Keys(origins)) {
		if err := h.client.Reach(ctx, origin); err != nil {
			return err
		}
	}
	return nil
}

// Prove asks for an access token, and connects to where the events go.
func (p Proving) Prove(ctx context.Context) (string, error) {
	for _, t := range p.tokens {
		if _, failed := t.Get(ctx); failed != nil {
			return "", failed
		}
	}
	if err := p.Reach(ctx); err != nil {
		return "", err
	}
	return "the client's credentials give an access token; not proved that the provider takes events with it", nil
}
