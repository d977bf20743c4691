package webhook

import (
	"net/url"

	"kvit/config"
	"kvit/destination"
)

// Kind is a receiver of Standard Webhooks 1.0, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "webhook", Concurrency: 16, Consent: "marketing", Read: destination.Reader(readOptions),
	Docs: "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
}

// Make makes the destination. Events have the shop's own names.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	private := o.HTTP.AllowPrivate
	o.HTTP = common.HTTP
	o.HTTP.AllowPrivate = private
	return New(o)
}

const deduplicatesProblem = "must be stated as true: kvit delivers at least once, so a receiver that does not drop " +
	"repeats of a webhook-id would count an event twice; write \"deduplicates: true\" once the receiver does"

func readOptions(s *config.Section) Options {
	var o Options
	o.HTTP.AllowPrivate = s.Boolean("allow_private", false)
	o.Secret = s.RequiredSecret("secret", signingSecret)
	o.PreviousSecret = s.Secret("previous_secret", signingSecret)
	deduplicates := s.Boolean("deduplicates", false)
	plain := func(string) bool { return o.HTTP.AllowPrivate }
	o.URL = s.RequiredText("url", config.HTTPURL(plain, "http only with allow_private: true"), func(text string) string {
		if u, err := url.Parse(text); err != nil || o.HTTP.AllowPrivate || !destination.RefusesHost(u.Hostname()) {
			return ""
		}
		return "leads to a private or local address, which needs allow_private: true"
	})
	if o.PreviousSecret.IsSet() && o.PreviousSecret.Reveal() == o.Secret.Reveal() {
		s.Problem("previous_secret", "is the same as secret")
	}
	if !deduplicates && !s.Faulty("deduplicates") {
		s.Problem("deduplicates", deduplicatesProblem)
	}
	return o
}

func signingSecret(text string) string {
	if _, err := destination.NewSigner(config.NewSecret(text)); err != nil {
		return "is not whsec_ followed by the base64 of 24 to 64 bytes"
	}
	return ""
}
