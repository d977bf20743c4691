package ga4_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/ga4"
	"kvit/destination/ga4/ga4test"
)

const propertyID = "123456789"

// setupDeletion is a destination that may delete, and what it asks.
func setupDeletion(t *testing.T, options ga4.Options, fail func(path string) ga4test.Failure) (*ga4.GA4, *ga4test.Deletions) {
	t.Helper()
	server := ga4test.NewDeletions(propertyID, fail)
	url := destinationtest.Serve(t, server)
	options.Deletion = ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret(ga4test.Credentials(url)), BaseURL: url}
	return newGA4(t, options), server
}

// TestRedactConformance looks at how the call that deletes is answered; tokens are given elsewhere.
func TestRedactConformance(t *testing.T) {
	t.Parallel()
	server := ga4test.NewDeletions(propertyID, nil)
	tokens := destinationtest.Serve(t, server)
	t.Run("Suite", func(t *testing.T) {
		destinationtest.RunRedact(t, destinationtest.RedactHarness{
			New: func(t *testing.T, baseURL string, client destination.ClientOptions) destination.Redactor {
				return newGA4(t, ga4.Options{
					Deletion: ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret(ga4test.Credentials(tokens)), BaseURL: baseURL}, HTTP: client,
				})
			},
			Success: server.ServeHTTP,
			Redaction: func() destination.Redaction {
				r := destinationtest.Redaction()
				r.ClientIDs = nil // the user id alone
				return r
			},
			Statuses: map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
			Volatile: []string{"Authorization"},
		})
	})
	require.Empty(t, server.Refusals())
}

func TestRedactAsksForEachIdentifier(t *testing.T) {
	t.Parallel()
	person := destination.Redaction{
		Email: " Jane.Doe@gmail.com ", Phone: "+45 12 34 56 78", CustomerID: "cust-1042",
		ClientIDs: []string{"1234567890.1700000000", "GA1.1.1234567890.1700000000", "987654321.1600000000", "", strings.Repeat("1", 101)},
	}
	ids := []ga4test.Deleted{{Member: "clientId", Value: "1234567890.1700000000"}, {Member: "clientId", Value: "987654321.1600000000"}}
	user := ga4test.Deleted{Member: "userId", Value: "cust-1042"}
	for name, test := range map[string]struct {
		options ga4.Options
		change  func(*destination.Redaction)
		want    []ga4test.Deleted
	}{
		"Ids": {want: append(ids[:2:2], user)},
		"UserData": {
			options: ga4.Options{UserData: true},
			want: append(ids[:2:2], user,
				ga4test.Deleted{Member: "userProvidedData", Value: "janedoe@gmail.com"}, ga4test.Deleted{Member: "userProvidedData", Value: "+4512345678"}),
		},
		"NeverSentAsUserID": {change: func(r *destination.Redaction) { r.CustomerID = "jane.doe@example.com" }, want: ids},
		"UserIDAlone":       {change: func(r *destination.Redaction) { r.ClientIDs = nil }, want: []ga4test.Deleted{user}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, server := setupDeletion(t, test.options, nil)
			person := person
			if test.change != nil {
				test.change(&person)
			}
			code, err := g.Redact(t.Context(), person)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, code)
			require.Equal(t, test.want, server.Deleted())
			require.Empty(t, server.Refusals())
		})
	}
}

func TestRedactNobody(t *testing.T) {
	t.Parallel()
	g, server := setupDeletion(t, ga4.Options{}, func(string) ga4test.Failure { return ga4test.Failure{Status: http.StatusTeapot} })
	_, err := g.Redact(t.Context(), destination.Redaction{Email: "jane.doe@example.com", OrderRefs: []string{"E100042"}})
	require.Equal(t, destination.Reject("client.ga_client_id: none is known, nor a customer.id that was sent, so that Google cannot find the person"), err)
	require.Empty(t, server.Deleted())
}

func TestRedactNotConfigured(t *testing.T) {
	t.Parallel()
	g := newGA4(t, ga4.Options{})
	require.False(t, g.CanRedact())
	_, err := g.Redact(t.Context(), destinationtest.Redaction())
	require.Equal(t, destination.Reject("deletion: is not configured"), err)
}

// nth fails the nth call that deletes, counted from 1.
func nth(n int, failure ga4test.Failure) func(path string) ga4test.Failure {
	calls := 0
	return func(path string) ga4test.Failure {
		if path == "/token" {
			return ga4test.Failure{}
		}
		if calls++; calls == n {
			return failure
		}
		return ga4test.Failure{}
	}
}

// TestRedactGoesOn: what Google rejects of one identifier says nothing of the others, any other failure does.
func TestRedactGoesOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		failure ga4test.Failure
		left    int
		want    *destination.Error
	}{
		"Rejected": {
			ga4test.Failure{Status: http.StatusBadRequest}, 2,
			&destination.Error{Kind: destination.Rejected, Code: 400, Reason: "Google rejected client.ga_client_id"},
		},
		"Throttled": {
			ga4test.Failure{Status: http.StatusTooManyRequests, RetryAfter: "9"}, 0,
			&destination.Error{Kind: destination.Throttled, Code: 429, Reason: "the provider asked to slow down", RetryAfter: 9 * time.Second},
		},
		"Lost": {
			ga4test.Failure{Reset: true}, 0,
			&destination.Error{Kind: destination.Ambiguous, Reason: "connection lost before the answer"},
		},
		"Forbidden": {
			ga4test.Failure{Status: http.StatusForbidden}, 0,
			&destination.Error{Kind: destination.Unauthorized, Code: 403, Reason: "Google does not let the service account delete users of this property"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, server := setupDeletion(t, ga4.Options{}, nth(1, test.failure))
			code, err := g.Redact(t.Context(), destinationtest.Redaction())
			require.Equal(t, test.want, err)
			require.Equal(t, test.want.Code, code)
			require.Len(t, server.Deleted(), test.left)
			code, err = g.Redact(t.Context(), destinationtest.Redaction())
			require.NoError(t, err, "the next attempt begins anew")
			require.Equal(t, http.StatusOK, code)
			require.Len(t, server.Deleted(), test.left+3)
		})
	}
}

// TestToken: what goes wrong where tokens are given, and that no deletion is tried then.
func TestToken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   *destination.Error
	}{
		"Grant": {400, `{"error": "invalid_grant", "error_description": "Qmarker"}`,
			&destination.Error{Kind: destination.Unauthorized, Code: 400, Reason: "Google did not accept the service account"}},
		"Unauthorized": {401, "", &destination.Error{Kind: destination.Unauthorized, Code: 401, Reason: "Google did not accept the service account"}},
		"Address":      {404, "", &destination.Error{Kind: destination.Misconfigured, Code: 404, Reason: "nothing gives access tokens at this address"}},
		"Redirect": {302, "", &destination.Error{
			Kind: destination.Misconfigured, Code: 302, Reason: "the provider answered with a redirect; set the address it leads to",
		}},
		"Throttled": {429, "", &destination.Error{Kind: destination.Throttled, Code: 429, Reason: "the provider asked to slow down", RetryAfter: 3 * time.Second}},
		"Broken":    {500, "", &destination.Error{Kind: destination.Ambiguous, Code: 500, Reason: "the provider had an error of its own"}},
		"NoToken":   {200, `{"id_token": "Qmarker"}`, &destination.Error{Kind: destination.Ambiguous, Code: 200, Reason: "Google's answer held no access token"}},
		"NoJSON":    {200, `<html>`, &destination.Error{Kind: destination.Ambiguous, Code: 200, Reason: "Google's answer held no access token"}},
		"OddToken":  {200, `{"access_token": "a\nb"}`, &destination.Error{Kind: destination.Ambiguous, Code: 200, Reason: "Google's answer held no access token"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			url := destinationtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path != "/token" {
					asked++
				}
				w.Header().Set("Location", "/elsewhere")
				w.Header().Set("Retry-After", "3")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			g := newGA4(t, ga4.Options{Deletion: ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret(ga4test.Credentials(url)), BaseURL: url}})
			code, err := g.Redact(t.Context(), destinationtest.Redaction())
			require.Equal(t, test.want, err)
			require.Equal(t, test.status, code)
			require.Zero(t, asked)
		})
	}
}

func TestProveDeletion(t *testing.T) {
	t.Parallel()
	listening := destinationtest.Serve(t, newServer())
	g, server := setupDeletion(t, ga4.Options{BaseURL: listening}, nil)
	proved, err := g.Prove(t.Context())
	require.NoError(t, err)
	require.Contains(t, proved, "; Google accepts the service account for deletions; not proved that it may delete in this property")
	require.Empty(t, server.Deleted())
	g, _ = setupDeletion(t, ga4.Options{BaseURL: listening}, func(string) ga4test.Failure { return ga4test.Failure{Status: http.StatusBadRequest} })
	_, err = g.Prove(t.Context())
	require.EqualError(t, err, "get a token for deletions: Google did not accept the service account (HTTP 400)")
}

func TestNewNamesTheWrongDeletion(t *testing.T) {
	t.Parallel()
	const wrong = "deletion: credentials: must be the JSON key of a service account"
	valid := ga4test.Credentials("https://oauth2.example.com")
	for name, test := range map[string]struct {
		deletion ga4.Deletion
		want     string
	}{
		"NoProperty":    {ga4.Deletion{Credentials: config.NewSecret(valid)}, "deletion: property_id: must be the digits of a property's id"},
		"Stream":        {ga4.Deletion{PropertyID: "G-ABC1234567", Credentials: config.NewSecret(valid)}, "deletion: property_id: must be the digits of a property's id"},
		"NoCredentials": {ga4.Deletion{PropertyID: propertyID}, wrong},
		"Token":         {ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret("ya29.example")}, wrong},
		"User":          {ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret(strings.Replace(valid, "service_account", "authorized_user", 1))}, wrong},
		"NoEmail":       {ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret(strings.Replace(valid, "client_email", "client_id", 1))}, wrong},
		"NoPEM":         {ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret(strings.Replace(valid, "BEGIN PRIVATE KEY", "BEGIN", 1))}, wrong},
		"NoKey":         {ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret(strings.Replace(valid, "PRIVATE KEY-----\\nMII", "PRIVATE KEY-----\\nAAA", 1))}, wrong},
		"TokenURI": {ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret(ga4test.Credentials("http://oauth2.example.com"))},
			"deletion: credentials: token_uri: must begin with https://"},
		"Base": {ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret(valid), BaseURL: "http://admin.example.com"}, "deletion: base_url: must begin with https://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ga4.New(ga4.Options{MeasurementID: streamID, APISecret: config.NewSecret(secret), Deletion: test.deletion})
			require.EqualError(t, err, test.want)
		})
	}
}

// TestTokenURIHasADefault: the one that Google's own libraries take.
func TestTokenURIHasADefault(t *testing.T) {
	t.Parallel()
	credentials := strings.Replace(ga4test.Credentials("https://oauth2.example.com"), "token_uri", "other_uri", 1)
	g := newGA4(t, ga4.Options{Deletion: ga4.Deletion{PropertyID: propertyID, Credentials: config.NewSecret(credentials)}})
	require.True(t, g.CanRedact())
}
