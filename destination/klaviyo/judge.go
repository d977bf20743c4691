package klaviyo

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// judge reads an answer. The call's addresses are fixed, so that a 404 speaks of the address or of the
// list, and a 410 of the revision: neither of the event.
func judge(answer destination.Answer) *destination.Error {
	return read(answer, destination.Judge(answer.Status, answer.Header))
}

// read adds to what the status alone says.
func read(answer destination.Answer, judged *destination.Error) *destination.Error {
	if judged == nil {
		return nil
	}
	switch answer.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		judged.Kind, judged.Reason = destination.Misconfigured, "Klaviyo knows no such address or list"
	case http.StatusGone:
		judged.Kind, judged.Reason = destination.Misconfigured, "Klaviyo no longer knows this revision or address"
	}
	if judged.Kind == destination.Rejected {
		explain(judged, answer.Body)
	}
	return judged
}

// explain finds the first error (https://jsonapi.org/format/#error-objects) that says more than the status.
// Title and detail may repeat what was sent, and are not looked at.
func explain(judged *destination.Error, body []byte) {
	if !gjson.ValidBytes(body) {
		return
	}
	gjson.GetBytes(body, "errors").ForEach(func(_, item gjson.Result) bool {
		switch item.Get("code").Str {
		case "not_authenticated", "authentication_failed", "permission_denied":
			judged.Kind, judged.Reason = destination.Unauthorized, "Klaviyo did not accept the key"
			return false
		}
		field, known := fieldOf(item.Get("source.pointer").Str)
		if known {
			judged.Reason = "Klaviyo rejected " + field
		}
		return !known
	})
}

// fields are the places in a request that can be at fault, as the payload calls them.
var fields = []struct{ suffix, field string }{
	{"/email", "customer.email"},
	{"/phone_number", "customer.phone"},
	{"/external_id", "customer.id"},
	{"/_kx", "client.klaviyo_id"},
	{"/locale", "customer.language"},
	{"/ip", "client.ip"},
	{"/value", "the amount"},
	{"/value_currency", "the currency"},
	{"/time", "occurred_at"},
	{"/unique_id", "event_key"},
	{"/name", "the name of the metric"},
}

func fieldOf(pointer string) (string, bool) {
	for _, f := range fields {
		if strings.HasPrefix(pointer, "/data/") && strings.HasSuffix(pointer, f.suffix) {
			return f.field, true
		}
	}
	return "", false
}
