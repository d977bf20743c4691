package destination

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"kvit/config"
)

// Signer signs requests as Standard Webhooks 1.0 asks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md). What kvit posts to addresses of the
// operator's choice is signed by it, events and alarms, so that one verification serves. Safe for concurrent use.
type Signer struct {
	keys []*standardwebhooks.Webhook
}

// NewSigner returns a Signer whose requests carry a signature of each secret: whsec_ and the base64 of 24 to 64 bytes.
func NewSigner(secrets ...config.Secret) (*Signer, error) {
	s := &Signer{}
	for _, secret := range secrets {
		encoded, prefixed := strings.CutPrefix(secret.Reveal(), "whsec_")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if !prefixed || err != nil || len(raw) < 24 || len(raw) > 64 {
			return nil, errors.New("must be whsec_ and the base64 of 24 to 64 bytes")
		}
		key, err := standardwebhooks.NewWebhookRaw(raw)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, key)
	}
	return s, nil
}

// Sign sets the headers that make a POST of body a webhook of that id, sent at that time.
func (s *Signer) Sign(header http.Header, id string, at time.Time, body []byte) error {
	signatures := make([]string, len(s.keys))
	for i, key := range s.keys {
		signature, err := key.Sign(id, at, body)
		if err != nil {
			return err
		}
		signatures[i] = signature
	}
	header.Set("Content-Type", "application/json")
	header.Set(standardwebhooks.HeaderWebhookID, id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}
