package destination

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
	"net/url"
	"time"
)

// ServiceAccount is a service account of Google's, which proves who it is by signing. It never prints its key.
type ServiceAccount struct {
	email    string
	keyID    string
	key      *rsa.PrivateKey
	tokenURI string // where an assertion is exchanged for an access token
}

// errAccount says nothing of what it found: that is a secret.
var errAccount = errors.New("must be the JSON key of a service account")

// accountFile is the file that Google offers when a key is made (https://cloud.google.com/iam/docs/keys-create-delete).
type accountFile struct {
	Type     string `json:"type"`
	Email    string `json:"client_email"`
	KeyID    string `json:"private_key_id"`
	Key      string `json:"private_key"`
	TokenURI string `json:"token_uri"`
}

// ServiceAccountForm is a config.Check that looks at the shape of a key alone; whether it can sign is found when the
// destination is made.
func ServiceAccountForm(text string) string {
	var file accountFile
	err := json.Unmarshal([]byte(text), &file)
	if err != nil || file.Type != "service_account" || file.Email == "" || file.Key == "" {
		return "is not the JSON key of a service account"
	}
	return ""
}

// ReadServiceAccount reads the JSON key of a service account.
func ReadServiceAccount(text string) (ServiceAccount, error) {
	var file accountFile
	if err := json.Unmarshal([]byte(text), &file); err != nil || file.Type != "service_account" || file.Email == "" {
		return ServiceAccount{}, errAccount
	}
	block, _ := pem.Decode([]byte(file.Key))
	if block == nil {
		return ServiceAccount{}, errAccount
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return ServiceAccount{}, errAccount
	}
	return ServiceAccount{
		email: file.Email, keyID: file.KeyID, key: key,
		tokenURI: cmp.Or(file.TokenURI, "https://oauth2.googleapis.com/token"),
	}, nil
}

// TokenURI is where the account gets access tokens.
func (a ServiceAccount) TokenURI() string { return a.tokenURI }

const (
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

// Grant is the form that asks for an access token of this scope, with a signed JSON Web Token
// (https://developers.google.com/identity/protocols/oauth2/service-account#httprest). It is made here and not
// by golang.org/x/oauth2, which follows redirects and puts the provider's text into its errors.
func (a ServiceAccount) Grant(scope string, now time.Time) (url.Values, error) {
	issued := now.Add(-clockSkew)
	signed := tokenPart(joseHeader{"RS256", "JWT", a.keyID}) + "." + tokenPart(claims{
		Issuer: a.email, Scope: scope, Audience: a.tokenURI,
		IssuedAt: issued.Unix(), Expires: issued.Add(assertionLife).Unix(),
	})
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign assertion: %w", err)
	}
	return url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"assertion":  {signed + "." + base64.RawURLEncoding.EncodeToString(signature)},
	}, nil
}

func tokenPart(value any) string { return base64.RawURLEncoding.EncodeToString(JSON(value)) }
