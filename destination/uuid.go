package destination

import "github.com/google/uuid"

// namespace makes kvit's UUIDs its own. It is part of what receivers rely on (docs/destinations/webhook.md)
// and never changes.
var namespace = uuid.MustParse("0d7c2a9e-5b64-4f3e-9a71-c86d2f10b3e5")

// UUID returns the version 5 UUID of an event key, for providers that want a UUID or forbid the
// characters that a key may have. The same key always gives the same UUID.
func UUID(eventKey string) uuid.UUID {
	return uuid.NewSHA1(namespace, []byte(eventKey))
}
