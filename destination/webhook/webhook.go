// Package webhook sends events to an address of the operator's choice, signed as Standard Webhooks
// 1.0 asks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
// docs/destinations/webhook.md is what its receivers read.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"kvit/config"
	"kvit/destination"
)

// Options are the settings of a Webhook.
type Options struct {
	URL            string        // absolute; https, or http if HTTP.AllowPrivate is set
	Secret         config.Secret // whsec_ and the base64 of 24 to 64 bytes
	PreviousSecret config.Secret // signs as well while it is set, so that a receiver can change over in peace
	HTTP           destination.ClientOptions
}

// Webhook is a destination that takes every event. Safe for concurrent use.
type Webhook struct {
	url    string
	signer *destination.Signer
	client *destination.Client
}

// New returns a Webhook, or an error that names the wrong option.
func New(options Options) (*Webhook, error) {
	if err := checkURL(options.URL, options.HTTP.AllowPrivate); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if _, err := destination.NewSigner(options.Secret); err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	secrets := []config.Secret{options.Secret}
	if options.PreviousSecret.IsSet() {
		secrets = append(secrets, options.PreviousSecret)
	}
	signer, err := destination.NewSigner(secrets...)
	if err != nil {
		return nil, fmt.Errorf("previous_secret: %w", err)
	}
	w := &Webhook{url: options.URL, signer: signer}
	options.HTTP.IgnoreAnswer = true
	w.client = destination.NewClient(options.HTTP)
	return w, nil
}

// checkURL words its errors itself: those of url.Parse hold the URL.
func checkURL(text string, allowPrivate bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return errors.New("must be an absolute URL")
	case u.User != nil:
		return errors.New("must not hold a user name or password")
	case u.Scheme != "https" && !(u.Scheme == "http" && allowPrivate):
		return errors.New("must begin with https://")
	case !allowPrivate && destination.RefusesHost(u.Hostname()):
		return errors.New("must not lead to a private or local address without allow_private: true")
	}
	return nil
}

// Traits tells that the receiver takes everything, and that events stand for themselves.
func (w *Webhook) Traits() destination.Traits {
	return destination.Traits{Events: append(slices.Clone(destination.Names), destination.AnyCustom), Raw: true}
}

// Reach connects to the receiver and sends nothing.
func (w *Webhook) Reach(ctx context.Context) error { return w.client.Reach(ctx, w.url) }

// Send posts the event. Any 2xx is success whatever the answer's body; 410 is Gone.
func (w *Webhook) Send(ctx context.Context, event destination.Event) (int, error) {
	answer, failed := w.post(ctx, event.Key, Body(event))
	if failed != nil {
		return 0, failed
	}
	if judged := judge(answer, destination.Judge); judged != nil {
		return answer.Status, judged
	}
	return answer.Status, nil
}

// judge reads the statuses by which a receiver means something of its own, and leaves the rest to others.
func judge(answer destination.Answer, others func(int, http.Header) *destination.Error) *destination.Error {
	switch answer.Status {
	case http.StatusGone:
		return &destination.Error{Kind: destination.Gone, Code: answer.Status, Reason: "the receiver wants no more events"}
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		// What a receiver answers while it is being deployed: it says nothing about the event.
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "nothing takes events at this address"}
	}
	return others(answer.Status, answer.Header)
}

// post makes one request, with the UUID of key as its id.
func (w *Webhook) post(ctx context.Context, key string, body []byte) (destination.Answer, *destination.Error) {
	req, err := w.request(ctx, destination.UUID(key).String(), body, time.Now())
	if err != nil {
		return destination.Answer{}, err
	}
	return w.client.Do(req)
}

// request is the same at every attempt but for timestamp and signatures.
func (w *Webhook) request(ctx context.Context, id string, body []byte, now time.Time) (*http.Request, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return nil, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	if w.signer.Sign(req.Header, id, now, body) != nil {
		return nil, &destination.Error{Kind: destination.Misconfigured, Reason: "the secret cannot be used"}
	}
	return req, nil
}
