package trustpilot_test

import (
	"cmp"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/trustpilot"
	"kvit/destination/trustpilot/trustpilottest"
)

const (
	apiKey = "example-api-key"
	secret = "example-api-secret"
)

// newTrustpilot calls one address and gets its tokens at another.
func newTrustpilot(t *testing.T, baseURL, tokens string, change func(*trustpilot.Options)) *trustpilot.Trustpilot {
	t.Helper()
	options := trustpilot.Options{
		BusinessUnitID: trustpilottest.BusinessUnitID, BusinessUserID: trustpilottest.BusinessUserID, TemplateID: trustpilottest.TemplateID,
		APIKey: config.NewSecret(apiKey), APISecret: config.NewSecret(secret),
		Delay: trustpilot.DefaultDelay, BaseURL: baseURL + "/v1", TokenURL: tokens + "/token",
	}
	if change != nil {
		change(&options)
	}
	options.HTTP.Timeout = cmp.Or(options.HTTP.Timeout, time.Minute)
	p, err := trustpilot.New(options)
	require.NoError(t, err)
	return p
}

// setup is a destination and the business unit that it speaks to.
func setup(t *testing.T, change func(*trustpilot.Options)) (*trustpilot.Trustpilot, *trustpilottest.Server) {
	t.Helper()
	server := trustpilottest.New(apiKey, secret)
	url := destinationtest.Serve(t, server)
	return newTrustpilot(t, url, url, change), server
}

var statuses = map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured}

func TestConformance(t *testing.T) {
	t.Parallel()
	server := trustpilottest.New(apiKey, secret)
	tokens := destinationtest.Serve(t, server)
	t.Run("Suite", func(t *testing.T) {
		destinationtest.Run(t, destinationtest.Harness{
			New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
				return newTrustpilot(t, baseURL, tokens, func(o *trustpilot.Options) { o.HTTP = options })
			},
			Success:  server.ServeHTTP,
			Statuses: statuses,
			Volatile: []string{"Authorization"},
		})
	})
	require.Empty(t, server.Refusals())
}

func TestRedactConformance(t *testing.T) {
	t.Parallel()
	server := trustpilottest.New(apiKey, secret)
	tokens := destinationtest.Serve(t, server)
	t.Run("Suite", func(t *testing.T) {
		destinationtest.RunRedact(t, destinationtest.RedactHarness{
			New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Redactor {
				return newTrustpilot(t, baseURL, tokens, func(o *trustpilot.Options) { o.HTTP = options })
			},
			Success:  server.ServeHTTP,
			Statuses: statuses,
			Volatile: []string{"Authorization"},
		})
	})
	require.Empty(t, server.Refusals())
}

const shipped = `{"customer": {"email": "jane.doe@example.com", "first_name": "Jane", "last_name": "Doe", "language": "da"},
  "order": {"ref": "other", "items": [{"sku": "SKU-9", "name": "Coat"}, {"name": "Gift"}, {"sku": "SKU-9"}, {"sku": "SKU-10"}]}}`

// invite sends an event, and returns the body of the request.
func invite(t *testing.T, event destination.Event, change func(*trustpilot.Options)) string {
	t.Helper()
	url, last := destinationtest.Recording(t, http.StatusAccepted, "")
	p := newTrustpilot(t, url, destinationtest.Serve(t, trustpilottest.New(apiKey, secret)), change)
	require.Equal(t, http.StatusAccepted, destinationtest.Deliver(t, p, event))
	require.Equal(t, "/v1/private/business-units/"+trustpilottest.BusinessUnitID+"/email-invitations", last().Path)
	require.Equal(t, trustpilottest.BusinessUserID, last().Header.Get("X-Business-User-Id"))
	return last().Body
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	event := destinationtest.EventWith(t, "order_shipped", shipped)
	require.Equal(t, `{"locale":"da-DK","referenceNumber":"E100042","consumerName":"Jane Doe","consumerEmail":"jane.doe@example.com","type":"email",`+
		`"serviceReviewInvitation":{"templateId":"507f191e810c19729de860ea","preferredSendTime":"2025-03-11T10:15:30"}}`, invite(t, event, nil))
	require.Equal(t, `{"replyTo":"help@shop.example.com","locale":"da-DK","senderName":"The shop","senderEmail":"shop@example.com",`+
		`"referenceNumber":"E100042","consumerName":"Jane Doe","consumerEmail":"jane.doe@example.com","type":"email",`+
		`"serviceReviewInvitation":{"templateId":"507f191e810c19729de860ea","preferredSendTime":"2025-03-04T10:15:30","redirectUri":"https://shop.example.com/thanks","tags":["web"]},`+
		`"productReviewInvitation":{"templateId":"612f191e810c19729de860ea","redirectUri":"https://shop.example.com/thanks","productSkus":["SKU-9","SKU-10"]}}`,
		invite(t, event, func(o *trustpilot.Options) {
			o.Delay, o.RedirectURI, o.Tags, o.SenderName, o.SenderEmail, o.ReplyTo = 0, "https://shop.example.com/thanks", []string{"web"}, "The shop", "shop@example.com", "help@shop.example.com"
			o.Products, o.ProductTemplateID = true, "612f191e810c19729de860ea"
		}))
}

func TestLocales(t *testing.T) {
	t.Parallel()
	for language, want := range map[string]string{
		"da": "da-DK", "da-DK": "da-DK", "DA": "da-DK", "en-GB": "en-GB", "en": "en-GB", "en-US": "en-GB", "no": "nb-NO", "de-AT": "de-DE", "cs": "fi-FI", "": "fi-FI",
	} {
		event := destinationtest.EventWith(t, "order_shipped", `{"customer": {"email": "a@example.com", "last_name": "Doe", "language": "`+language+`"}}`)
		body := invite(t, event, func(o *trustpilot.Options) { o.Locale, o.Locales = "fi-FI", map[string]string{"en": "en-GB"} })
		require.Equal(t, want, gjson.Get(body, "locale").Str, language)
	}
}

// TestReferences: some characters break the links of invitations.
func TestReferences(t *testing.T) {
	t.Parallel()
	event := destinationtest.EventWith(t, "order_shipped", `{"customer": {"email": "a@example.com", "company": "Doe Ltd"}}`)
	event.OrderRef = `#E/1*2+3"4%5&6`
	body := invite(t, event, nil)
	require.Equal(t, "-E/1-2-3-4-5-6", gjson.Get(body, "referenceNumber").Str)
	require.Equal(t, "Doe Ltd", gjson.Get(body, "consumerName").Str)
}

func TestRejected(t *testing.T) {
	t.Parallel()
	p := newTrustpilot(t, "https://api.example.com", "https://api.example.com", nil)
	for payload, want := range map[string]string{
		``:                                   "customer.email: is required",
		`{"customer": {"first_name": "A"}}`:  "customer.email: is required",
		`{"customer": {"email": "not one"}}`: "customer.email: is required",
		`{"customer": {"email": "a@example.com", "first_name": " "}}`: "customer.first_name: is required, or customer.last_name or customer.company",
	} {
		failed := destinationtest.Fail(t, p, destinationtest.EventWith(t, "order_shipped", payload))
		require.Equal(t, destination.Reject("%s", want), failed, payload)
	}
	event := destinationtest.EventWith(t, "order_shipped", shipped)
	event.OrderRef, event.Payload.Order = "", nil
	require.Equal(t, destination.Reject("order_ref: is required"), destinationtest.Fail(t, p, event))
	require.Equal(t, destination.Reject("name: is not an event that this destination sends"), destinationtest.Fail(t, p, destinationtest.Event(t, "order_paid")))
}

// TestRepeatsAreInvitations: Trustpilot is not known to recognise a repeat, so that kvit must not make one.
func TestRepeatsAreInvitations(t *testing.T) {
	t.Parallel()
	p, server := setup(t, nil)
	require.Equal(t, destination.Traits{Events: []string{"order_shipped"}, CountedAgain: []string{"order_shipped"}}, p.Traits())
	for range 2 {
		destinationtest.Deliver(t, p, destinationtest.EventWith(t, "order_shipped", shipped))
	}
	require.Equal(t, trustpilottest.Counts{Requests: 2, Tokens: 1, Invitations: 2, Twice: 1}, server.Counts())
}

func TestEvents(t *testing.T) {
	t.Parallel()
	for event, events := range map[string]map[string]string{
		"order_paid":       {"order_shipped": "", "order_paid": "invitation"},
		"custom:delivered": {"order_shipped": "", "custom:delivered": "invitation"},
	} {
		p, server := setup(t, func(o *trustpilot.Options) { o.Events = events })
		require.Equal(t, []string{event}, p.Traits().CountedAgain)
		sent := destinationtest.EventWith(t, event, shipped)
		destinationtest.Deliver(t, p, sent)
		require.Equal(t, 1, server.Counts().Invitations)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*trustpilot.Options){
		"business_unit_id: must be letters and digits":           func(o *trustpilot.Options) { o.BusinessUnitID = "shop.example.com" },
		"business_user_id: must be letters and digits":           func(o *trustpilot.Options) { o.BusinessUserID = "" },
		"template_id: must be letters and digits":                func(o *trustpilot.Options) { o.TemplateID = "" },
		"api_key: is required, in visible ASCII characters":      func(o *trustpilot.Options) { o.APIKey = config.Secret{} },
		"api_secret: is required, in visible ASCII characters":   func(o *trustpilot.Options) { o.APISecret = config.NewSecret("a b") },
		"delay: must not be below 0":                             func(o *trustpilot.Options) { o.Delay = -1 },
		"product_template_id: wants products: true":              func(o *trustpilot.Options) { o.ProductTemplateID = "612f191e810c19729de860ea" },
		"base_url: must begin with https://":                     func(o *trustpilot.Options) { o.BaseURL = "http://api.example.com" },
		"token_url: must not lead to a private or local address": func(o *trustpilot.Options) { o.TokenURL = "https://10.0.0.1/token" },
		"events.order_paid: must be invitation, or off":          func(o *trustpilot.Options) { o.Events = map[string]string{"order_paid": "sale"} },
		"events.custom:x: must be invitation, or off":            func(o *trustpilot.Options) { o.Events = map[string]string{"order_shipped": "", "custom:x": "*"} },
		"events: leaves no event to send":                        func(o *trustpilot.Options) { o.Events = map[string]string{"order_shipped": ""} },
		"events: custom:* is any number of events, and a customer would be invited by each": func(o *trustpilot.Options) {
			o.Events = map[string]string{"order_shipped": "", "custom:*": "invitation"}
		},
		"events: must be one alone, or a customer is invited more than once for an order; switch order_shipped off": func(o *trustpilot.Options) {
			o.Events = map[string]string{"order_paid": "invitation"}
		},
	} {
		options := trustpilot.Options{
			BusinessUnitID: trustpilottest.BusinessUnitID, BusinessUserID: trustpilottest.BusinessUserID, TemplateID: trustpilottest.TemplateID,
			APIKey: config.NewSecret("x"), APISecret: config.NewSecret("x"),
		}
		change(&options)
		_, err := trustpilot.New(options)
		require.EqualError(t, err, want)
	}
}

// TestTokens: one request for a token serves all, and without one nothing is asked.
func TestTokens(t *testing.T) {
	t.Parallel()
	p, server := setup(t, nil)
	var senders sync.WaitGroup
	for range 20 {
		senders.Go(func() { _, _ = p.Send(t.Context(), destinationtest.Event(t, "order_shipped")) })
	}
	senders.Wait()
	require.Equal(t, trustpilottest.Counts{Requests: 20, Tokens: 1, Invitations: 20, Twice: 19}, server.Counts())

	stranger, server := setup(t, func(o *trustpilot.Options) { o.APISecret = config.NewSecret("other") })
	failed := destinationtest.Fail(t, stranger, destinationtest.Event(t, "order_shipped"))
	require.Equal(t, &destination.Error{Kind: destination.Unauthorized, Code: 401, Reason: "no access token: the provider did not accept the credentials"}, failed)
	_, err := stranger.Redact(t.Context(), destinationtest.Redaction())
	require.ErrorContains(t, err, "no access token")
	require.Zero(t, server.Counts().Requests)
}

func TestRedact(t *testing.T) {
	t.Parallel()
	p, server := setup(t, nil)
	destinationtest.Deliver(t, p, destinationtest.EventWith(t, "order_shipped", shipped))
	code, err := p.Redact(t.Context(), destination.Redaction{Email: "jane.doe@example.com", Phone: "+4512345678"})
	require.NoError(t, err)
	require.Equal(t, 200, code)
	require.Empty(t, server.Invitations())
	require.Equal(t, 1, server.Counts().Deletions)
	_, err = p.Redact(t.Context(), destination.Redaction{Phone: "+4512345678", CustomerID: "1042"})
	require.EqualError(t, err, "customer.email: is required to have invitations deleted")
}

func TestProve(t *testing.T) {
	t.Parallel()
	p, server := setup(t, nil)
	proved, err := p.Prove(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Trustpilot accepts the credentials and has the template; not proved that they may invite", proved)
	require.Zero(t, server.Counts().Invitations)
	for want, change := range map[string]func(*trustpilot.Options){
		"template_id: Trustpilot has no such template":         func(o *trustpilot.Options) { o.TemplateID = "612f191e810c19729de860ea" },
		"product_template_id: Trustpilot has no such template": func(o *trustpilot.Options) { o.Products, o.ProductTemplateID = true, "612f191e810c19729de860ea" },
		"Trustpilot does not let this user do that for this business unit: check business_unit_id and business_user_id (HTTP 403)": func(o *trustpilot.Options) {
			o.BusinessUserID = "612f191e810c19729de860ea"
		},
		"Trustpilot has nothing at this address: check business_unit_id and base_url (HTTP 404)": func(o *trustpilot.Options) { o.BusinessUnitID = "612f191e810c19729de860ea" },
		"no access token: the provider did not accept the credentials (HTTP 401)":                func(o *trustpilot.Options) { o.APIKey = config.NewSecret("other") },
	} {
		p, _ := setup(t, change)
		_, err := p.Prove(t.Context())
		require.EqualError(t, err, want)
	}
	for _, body := range []string{`{"templates":[]}`, `[]`, `<html>`, ``} {
		p := newTrustpilot(t, destinationtest.Answering(t, 200, body), destinationtest.Serve(t, trustpilottest.New(apiKey, secret)), nil)
		proved, err := p.Prove(t.Context())
		require.NoError(t, err)
		require.Contains(t, proved, "not proved that it has the template")
	}
}

// TestServerRefuses shows that the stand-in is strict: what it takes is not taken by accident.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	server := trustpilottest.New(apiKey, secret)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Authorization": "Basic ZXhhbXBsZS1hcGkta2V5OmV4YW1wbGUtYXBpLXNlY3JldA=="}
	token := gjson.Get(destinationtest.Post(server, "/token", "grant_type=client_credentials", flat(form)...).Body.String(), "access_token").Str
	require.NotEmpty(t, token)
	headers := map[string]string{"Authorization": "Bearer " + token, "X-Business-User-Id": trustpilottest.BusinessUserID, "Content-Type": "application/json"}
	const path = "/v1/private/business-units/" + trustpilottest.BusinessUnitID + "/email-invitations"
	good := `{"locale":"da-DK","referenceNumber":"1","consumerName":"a","consumerEmail":"a@example.com","type":"email","serviceReviewInvitation":{"templateId":"507f191e810c19729de860ea","preferredSendTime":"2025-03-11T10:15:30"}}`
	require.Equal(t, 202, destinationtest.Post(server, path, good, flat(headers)...).Code)
	for from, to := range map[string]string{
		`"da-DK"`: `"da"`, `"1"`: `"#1"`, `"a"`: `""`, `a@example.com`: `a`, `"email",`: `"sms",`, `507f`: `607f`, `:30"`: `:30Z"`, `"locale"`: `"language"`,
	} {
		require.Equal(t, 400, destinationtest.Post(server, path, strings.Replace(good, from, to, 1), flat(headers)...).Code, to)
	}
	for header, want := range map[string]int{"Authorization": 401, "X-Business-User-Id": 403, "Content-Type": 415} {
		other := maps.Clone(headers)
		other[header] = "x"
		require.Equal(t, want, destinationtest.Post(server, path, good, flat(other)...).Code)
	}
}

// flat are headers as names and values by turns.
func flat(headers map[string]string) []string {
	var list []string
	for name, value := range headers {
		list = append(list, name, value)
	}
	return list
}
