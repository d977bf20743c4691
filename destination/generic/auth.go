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

// Auth is how a request says who sends it. At most one of its fields is set.
type Auth struct {
	Basic  *Basic
	Bearer config.Secret
	Header *Key
	Query  *Key
	OAuth2 *OAuth2
}

// Basic is a name and a password (RFC 7617).
type Basic struct {
	User     string
	Password config.Secret
	// SignedHeader is a header with the time of the request. If it is set, Password is a key, and what is sent as
	// the password is the base64 of the hexadecimal HMAC-SHA256 of that time.
	SignedHeader string
}

// Key is an API key in a header or a parameter of the query.
type Key struct {
	Name  string
	Value config.Secret
}

// parameters are those that authentication adds to the query.
func (a Auth) parameters() []pair {
	if a.Query == nil {
		return nil
	}
	return []pair{{a.Query.Name, a.Query.Value.Reveal()}}
}

// sign sets the headers; token gives the access token of OAuth2.
func (a Auth) sign(req *http.Request, token string, now time.Time) {
	switch {
	case a.Basic != nil:
		req.SetBasicAuth(a.Basic.User, a.Basic.password(req, now))
	case a.Bearer.IsSet():
		req.Header.Set("Authorization", "Bearer "+a.Bearer.Reveal())
	case a.Header != nil:
		req.Header.Set(a.Header.Name, a.Header.Value.Reveal())
	case a.OAuth2 != nil:
		req.Header.Set("Authorization", "Bearer "+token)
	}
}

func (b *Basic) password(req *http.Request, now time.Time) string {
	if b.SignedHeader == "" {
		return b.Password.Reveal()
	}
	at := now.UTC().Format(http.TimeFormat)
	req.Header.Set(b.SignedHeader, at)
	mac := hmac.New(sha256.New, []byte(b.Password.Reveal()))
	mac.Write([]byte(at))
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(mac.Sum(nil))))
}
