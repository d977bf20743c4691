package generic

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"

	"kvit/config"
)

// auth is how a request says who sends it. One of its fields is set.
type auth struct {
	basic  *basic
	bearer config.Secret
	header *key
	query  *key
	oauth2 *oauth2
}

// basic is a name and a password (RFC 7617).
type basic struct {
	user     string
	password config.Secret
	// signedHeader is a header with the time of the request. If it is set, password is a key, and what is sent as
	// the password is the base64 of the hexadecimal HMAC-SHA256 of that time.
	signedHeader string
}

// key is an API key in a header or a parameter of the query.
type key struct {
	name  string
	value config.Secret
}

// parameters are those that authentication adds to the query.
func (a *auth) parameters() []pair {
	if a == nil || a.query == nil {
		return nil
	}
	return []pair{{a.query.name, a.query.value.Reveal()}}
}

// sign sets the headers; token is the access token of oauth2.
func (a *auth) sign(req *http.Request, token string, now time.Time) {
	switch {
	case a == nil:
	case a.basic != nil:
		req.SetBasicAuth(a.basic.user, a.basic.passwordAt(req, now))
	case a.bearer.IsSet():
		req.Header.Set("Authorization", "Bearer "+a.bearer.Reveal())
	case a.header != nil:
		req.Header.Set(a.header.name, a.header.value.Reveal())
	case a.oauth2 != nil:
		req.Header.Set("Authorization", "Bearer "+token)
	}
}

func (b *basic) passwordAt(req *http.Request, now time.Time) string {
	if b.signedHeader == "" {
		return b.password.Reveal()
	}
	at := now.UTC().Format(http.TimeFormat)
	req.Header.Set(b.signedHeader, at)
	mac := hmac.New(sha256.New, []byte(b.password.Reveal()))
	mac.Write([]byte(at))
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(mac.Sum(nil))))
}
