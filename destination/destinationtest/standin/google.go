package standin

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"sync"
	"time"
)

const (
	accountEmail = "kvit@example-project.iam.gserviceaccount.com"
	accountKeyID = "0123456789abcdef0123456789abcdef01234567"
)

// accountKey is the same for all servers of a process: making one takes a while.
var accountKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // there is no randomness
	}
	return key
})

// ServiceAccountKey is the key of the only service account of Google's that stand-ins know, in the form of Google's
// file, with tokenURI as the place that gives tokens.
func ServiceAccountKey(tokenURI string) string {
	der, err := x509.MarshalPKCS8PrivateKey(accountKey())
	if err != nil {
		panic(err) // an RSA key has that form
	}
	text, err := json.MarshalIndent(map[string]string{
		"type": "service_account", "project_id": "example-project", "client_email": accountEmail, "private_key_id": accountKeyID,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": tokenURI,
	}, "", "  ")
	if err != nil {
		panic(err) // they are texts
	}
	return string(text)
}

// AssertionProblem checks all that https://developers.google.com/identity/protocols/oauth2/service-account#httprest
// asks of the token that a service account signs.
func AssertionProblem(assertion, audience, scope string, now time.Time) string {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "the assertion has not three parts"
	}
	var header struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
		KeyID     string `json:"kid"`
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Scope    string `json:"scope"`
		Audience string `json:"aud"`
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch {
	case !decodePart(parts[0], &header) || header.Algorithm != "RS256" || header.Type != "JWT" || header.KeyID != accountKeyID:
		return "the header of the assertion is wrong"
	case err != nil || rsa.VerifyPKCS1v15(&accountKey().PublicKey, crypto.SHA256, sum[:], signature) != nil:
		return "the signature of the assertion is wrong"
	case !decodePart(parts[1], &claims) || claims.Issuer != accountEmail || claims.Audience != audience:
		return "the assertion is of somebody else, or for somebody else"
	case claims.Scope != scope:
		return "the scope of the assertion is wrong"
	}
	issued, expires := time.Unix(claims.IssuedAt, 0), time.Unix(claims.Expires, 0)
	if issued.After(now) || !expires.After(now) || expires.Sub(issued) > time.Hour {
		return "the time of the assertion is wrong"
	}
	return ""
}

func decodePart(part string, into any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, into) == nil
}
