package ga4

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
)

// Deletion is what it takes to have Google delete the data of a person. It is left empty, or has both
// PropertyID and Credentials.
type Deletion struct {
	PropertyID  string        // digits: the property that the stream belongs to
	Credentials config.Secret // the JSON key of a service account that may edit the property
	BaseURL     string        // default https://analyticsadmin.googleapis.com
}

// deleter makes the calls of the Admin API
// (https://developers.google.com/analytics/devguides/config/admin/v1/rest/v1alpha/properties/submitUserDeletion).
type deleter struct {
	account destination.ServiceAccount
	address string
	client  *destination.Client
}

func newDeleter(d Deletion, options destination.ClientOptions) (*deleter, error) {
	if propertyID(d.PropertyID) != "" {
		return nil, errors.New("property_id: must be the digits of a property's id")
	}
	account, err := destination.ReadServiceAccount(d.Credentials.Reveal())
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	d.BaseURL = strings.TrimSuffix(cmp.Or(d.BaseURL, "https://analyticsadmin.googleapis.com"), "/")
	apiIsLocal, err := destination.CheckAddress(d.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	tokenIsLocal, err := destination.CheckAddress(account.TokenURI())
	if err != nil {
		return nil, fmt.Errorf("credentials: token_uri: %w", err)
	}
	options.AllowPrivate = options.AllowPrivate || apiIsLocal || tokenIsLocal
	return &deleter{
		account: account, client: destination.NewClient(options),
		address: d.BaseURL + "/v1alpha/properties/" + d.PropertyID + ":submitUserDeletion",
	}, nil
}

// deletionScope is what the Admin API wants for a user deletion; the scope of its predecessor is not enough
// (https://developers.google.com/analytics/devguides/config/userdeletion/migration).
const deletionScope = "https://www.googleapis.com/auth/analytics.edit"

// token exchanges an assertion for an access token. It is not kept: redactions are rare.
func (d *deleter) token(ctx context.Context) (string, *destination.Error) {
	form, err := d.account.Grant(deletionScope, time.Now())
	if err != nil {
		return "", &destination.Error{Kind: destination.Misconfigured, Reason: "the key of the service account cannot sign"}
	}
	answer, failed := d.post(ctx, d.account.TokenURI(), "application/x-www-form-urlencoded", "", []byte(form.Encode()))
	if failed != nil {
		return "", failed
	}
	if judged := judgeToken(answer); judged != nil {
		return "", judged
	}
	token, ok := accessToken(answer)
	if !ok {
		return "", &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "Google's answer held no access token"}
	}
	return token, nil
}

func accessToken(answer destination.Answer) (string, bool) {
	if !gjson.ValidBytes(answer.Body) {
		return "", false
	}
	token := gjson.GetBytes(answer.Body, "access_token").Str
	return token, destination.IsVisibleASCII(token)
}

// judgeToken takes 400, which Google's documentation has for a wrong key, account, scope or clock, for what
// it is about.
func judgeToken(answer destination.Answer) *destination.Error {
	judged := destination.Judge(answer.Status, answer.Header)
	if judged == nil {
		return nil
	}
	switch answer.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		judged.Kind, judged.Reason = destination.Unauthorized, "Google did not accept the service account"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		judged.Kind, judged.Reason = destination.Misconfigured, "nothing gives access tokens at this address"
	}
	return judged
}

// submit asks for the deletion of what one identifier stands for. Any 2xx says that Google has taken it.
func (d *deleter) submit(ctx context.Context, token string, who identifier) (int, *destination.Error) {
	answer, failed := d.post(ctx, d.address, "application/json", "Bearer "+token, who.body())
	if failed != nil {
		return 0, failed
	}
	judged := destination.JudgeRedaction(answer.Status, answer.Header)
	switch {
	case judged == nil:
		return answer.Status, nil
	case judged.Kind == destination.Unauthorized:
		judged.Reason = "Google does not let the service account delete users of this property"
	case answer.Status == http.StatusNotFound, answer.Status == http.StatusMethodNotAllowed:
		judged.Kind, judged.Reason = destination.Misconfigured, "Google knows no such property or address"
	case judged.Kind == destination.Rejected:
		judged.Reason = "Google rejected " + who.field
	}
	return answer.Status, judged
}

func (d *deleter) post(ctx context.Context, address, contentType, authorization string, body []byte) (destination.Answer, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return destination.Answer{}, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Content-Type", contentType)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return d.client.Do(req)
}
