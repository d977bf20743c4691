package config

import (
	"encoding/base64"
	"strings"
)

// Webhook is a receiver of Standard Webhooks 1.0
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
type Webhook struct {
	URL            string // https; http only with AllowPrivate
	Secret         Secret // whsec_ and the base64 of 24 to 64 bytes
	PreviousSecret Secret // during a rotation: while set, both sign
	Deduplicates   bool   // always true: the file has to state it
	AllowPrivate   bool   // default false: private, loopback and link-local addresses are refused
}

const deduplicatesProblem = "must be stated as true: kvit delivers at least once, so a receiver that does not drop " +
	"repeats of a webhook-id would count an event twice; write \"deduplicates: true\" once the receiver does"

func readWebhook(s *Section) *Webhook {
	w := &Webhook{
		AllowPrivate:   s.Boolean("allow_private", false),
		Secret:         s.RequiredSecret("secret", signingSecret),
		PreviousSecret: s.Secret("previous_secret", signingSecret),
		Deduplicates:   s.Boolean("deduplicates", false),
	}
	plain := func(string) bool { return w.AllowPrivate }
	w.URL = s.RequiredText("url", HTTPURL(plain, "http only with allow_private: true"))
	if w.PreviousSecret.IsSet() && w.PreviousSecret.Reveal() == w.Secret.Reveal() {
		s.Problem("previous_secret", "is the same as secret")
	}
	if !w.Deduplicates && !s.Faulty("deduplicates") {
		s.Problem("deduplicates", deduplicatesProblem)
	}
	return w
}

func signingSecret(text string) string {
	encoded, ok := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return "is not whsec_ followed by the base64 of 24 to 64 bytes"
	}
	return ""
}
