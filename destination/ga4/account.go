package ga4

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"kvit/destination"
)

// account is a service account of Google's, which proves who it is by signing.
type account struct {
	email    string
	keyID    string
	key      *rsa.PrivateKey
	tokenURI string // where an assertion is exchanged for an access token
}

// errAccount says nothing of what it found: that is a secret.
var errAccount = errors.New("must be the JSON key of a service account")

// readAccount reads the file that Google offers when a key is made
// (https://cloud.google.com/iam/docs/keys-create-delete).
func readAccount(text string) (account, error) {
	var file struct {
		Type     string `json:"type"`
		Email    string `json:"client_email"`
		KeyID    string `json:"private_key_id"`
		Key      string `json:"private_key"`
		TokenURI string `json:"token_uri"`
	}
	if err := json.Unmarshal([]byte(text), &file); err != nil || file.Type != "service_account" || file.Email == "" {
		return account{}, errAccount
	}
	block, _ := pem.Decode([]byte(file.Key))
	if block == nil {
		return account{}, errAccount
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return account{}, errAccount
	}
	return account{
		email: file.Email, keyID: file.KeyID, key: key,
		tokenURI: cmp.Or(file.TokenURI, "https://oauth2.googleapis.com/token"),
	}, nil
}

const (
	// deletionScope is what the Admin API wants for a user deletion; the scope of its predecessor is not enough
	// (https://developers.google.com/analytics/devguides/config/userdeletion/migration).
	deletionScope = "https://www.googleapis.com/auth/analytics.edit"
	// assertionLife is short: the assertion is used at once. Google takes up to an hour.
	assertionLife = 10 * time.Minute
	// clockSkew is how far this machine's clock may be ahead of Google's.
	clockSkew = 10 * time.Second
)

type joseHeader struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid,omitempty"`
}

type claims struct {
	Issuer   string `json:"iss"`
	Scope    string `json:"scope"`
	Audience string `json:"aud"`
	IssuedAt int64  `json:"iat"` // Unix seconds
	Expires  int64  `json:"exp"`
}

// assertion is a signed JSON Web Token that asks for an access token
// (https://developers.google.com/identity/protocols/oauth2/service-account#httprest). It is made here and not
// by golang.org/x/oauth2, which follows redirects and puts the provider's text into its errors.
func (a account) assertion(now time.Time) (string, error) {
	issued := now.Add(-clockSkew)
	signed := part(joseHeader{"RS256", "JWT", a.keyID}) + "." + part(claims{
		Issuer: a.email, Scope: deletionScope, Audience: a.tokenURI,
		IssuedAt: issued.Unix(), Expires: issued.Add(assertionLife).Unix(),
	})
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign assertion: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func part(value any) string { return base64.RawURLEncoding.EncodeToString(destination.JSON(value)) }
