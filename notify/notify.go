// Package notify tells people of alarms, by the channels of notify in kvit.yaml: that one has opened, once a day that it is still on, and
// that it is over. What an alarm is stands in the room status; which message was sent stands in kvit.notification, so that it is sent once,
// whichever process sends it. No message holds personal data.
package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"kvit/config"
	"kvit/destination"
)

// Sender sends messages by one channel. Safe for concurrent use.
type Sender interface {
	// Send tries once. It returns what came back, as in "HTTP 200", and an error that holds neither addresses nor secrets if the message
	// was not taken, or if nobody can tell. A repeat has the same Message.ID, by which a receiver can tell it.
	Send(ctx context.Context, m Message) (answer string, err error)

	// Reach connects, logs in where that is asked for, and sends nothing.
	Reach(ctx context.Context) error
}

// sendTimeout bounds one attempt.
const sendTimeout = 10 * time.Second

// NewSender makes the sender of a channel, or returns an error that names the wrong key.
func NewSender(c config.Channel) (Sender, error) {
	if c.Kind == config.MailChannel {
		return newMailer(c)
	}
	if err := checkAddress(c); err != nil {
		return nil, err
	}
	h := &hook{url: c.URL, client: destination.NewClient(destination.ClientOptions{Timeout: sendTimeout, MaxConns: 1, AllowPrivate: c.AllowPrivate, IgnoreAnswer: true})}
	switch c.Kind {
	case config.SlackChannel:
		h.body = slackBody
	case config.TeamsChannel:
		h.body = teamsBody
	case config.WebhookChannel:
		secrets := []config.Secret{c.Secret}
		if c.PreviousSecret.IsSet() {
			secrets = append(secrets, c.PreviousSecret)
		}
		signer, err := destination.NewSigner(secrets...)
		if err != nil {
			return nil, fmt.Errorf("secret: %w", err)
		}
		h.body, h.signer = webhookBody, signer
	default:
		return nil, fmt.Errorf("kind: %q is none", c.Kind)
	}
	return h, nil
}

// checkAddress refuses what would be refused when it is dialled.
func checkAddress(c config.Channel) error {
	u, err := url.Parse(c.URL.Reveal())
	if err != nil {
		return errors.New("url: is no URL")
	}
	if !c.AllowPrivate && destination.RefusesHost(u.Hostname()) {
		return errors.New("url: leads to a private or local address, which needs allow_private: true")
	}
	return nil
}
