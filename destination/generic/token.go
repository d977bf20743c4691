package generic

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"kvit/config"
	"kvit/destination"
)

// oauth2 says how access tokens are got with client credentials (RFC 6749, 4.4).
type oauth2 struct {
	tokenURL     string
	clientID     string
	clientSecret config.Secret
	scope        string // empty: none is asked for
	audience     string // empty: none is named
	inBody       bool   // the credentials go into the form instead of the header
}

func (o *oauth2) options() destination.TokenOptions {
	form := url.Values{"grant_type": {"client_credentials"}}
	if o.scope != "" {
		form.Set("scope", o.scope)
	}
	if o.audience != "" {
		form.Set("audience", o.audience)
	}
	header := http.Header{}
	if o.inBody {
		form.Set("client_id", o.clientID)
		form.Set("client_secret", o.clientSecret.Reveal())
	} else { // RFC 6749, 2.3.1: both are encoded as in a form first
		credentials := url.QueryEscape(o.clientID) + ":" + url.QueryEscape(o.clientSecret.Reveal())
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)))
	}
	return destination.TokenOptions{
		Address: o.tokenURL, Header: header, Grant: func(time.Time) (url.Values, error) { return form, nil },
	}
}
