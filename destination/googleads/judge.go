package googleads

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// judge reads an answer, which is for the request as a whole: Google takes all events, or none of a request in which
// one is at fault (https://developers.google.com/data-manager/api/devguides/concepts/understand-errors).
func judge(answer destination.Answer, validated bool) *destination.Error {
	judged := destination.Judge(answer.Status, answer.Header)
	switch {
	case judged == nil:
		return judgeTaken(answer, validated)
	case answer.Status == http.StatusNotFound, answer.Status == http.StatusMethodNotAllowed:
		judged.Kind, judged.Reason = destination.Misconfigured, "Google has nothing at this address: check base_url"
	case answer.Status == http.StatusForbidden:
		judged.Reason = "Google does not let these credentials send to this account, or the API is not enabled in their project"
	case judged.Kind == destination.Rejected:
		explain(judged, answer.Body)
	}
	return judged
}

// judgeTaken wants the id of the request, by which Google has taken it. One that was only validated has none.
func judgeTaken(answer destination.Answer, validated bool) *destination.Error {
	body := gjson.ParseBytes(answer.Body)
	switch {
	case answer.Cut:
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer broke off"}
	case !gjson.ValidBytes(answer.Body) || !body.IsObject() || (!validated && body.Get("requestId").Str == ""):
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer does not say that Google has taken the events"}
	}
	return nil
}

// settingsAtFault are the reasons that speak of the account and not of an event
// (https://github.com/googleapis/google-cloud-python, packages/google-ads-datamanager, types/error.py).
var settingsAtFault = map[string]string{
	"INVALID_DESTINATION":                                            "Google knows no such account and conversion action: check customer_id and conversion_action",
	"DESTINATION_ACCOUNT_TYPE_MISMATCH":                              "customer_id is not an account of Google Ads",
	"INVALID_CONVERSION_ACTION_ID":                                   "Google knows no such conversion action: check conversion_action and events",
	"INVALID_CONVERSION_ACTION_TYPE":                                 "the conversion action is not one for websites or for imports from clicks",
	"EVENT_SOURCE_AND_DESTINATION_MISMATCH":                          "the conversion action is not one for websites or for imports from clicks",
	"OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH":                       "login_customer_id must be left out for this account",
	"TERMS_AND_CONDITIONS_NOT_SIGNED":                                "the account has not accepted Google's terms",
	"NOT_ALLOWLISTED":                                                "Google has not admitted the account to this kind of conversion",
	"INVALID_MERCHANT_ID":                                            "Google knows no such merchant_id",
	"INVALID_MERCHANT_FEED_LANGUAGE_CODE":                            "Google knows no such merchant_feed_language",
	"DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED":      "the account has not accepted the terms of enhanced conversions: accept them, or set user_data: false",
	"DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS": "enhanced conversions for leads are not switched on in the account: switch them on, or set user_data: false",
	"DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS": "Google does not let the account use enhanced conversions: set user_data: false",
	"EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED":                  "the account lacks the declaration on political advertising in the EU",
}

// eventAtFault are those that speak of an event.
var eventAtFault = map[string]string{
	"EVENT_TIME_INVALID":      "occurred_at: is outside of what Google takes",
	"INVALID_CURRENCY_CODE":   "order.currency: Google does not know it",
	"INVALID_POSTAL_CODE":     "customer.address.postal_code: Google does not take it",
	"INVALID_REGION_CODE":     "customer.address.country: Google does not know it",
	"NO_IDENTIFIERS_PROVIDED": "Google saw nothing by which it could find the click or the person",
	"FIELD_VALUE_TOO_LONG":    "Google rejected a text that is too long",
	"INVALID_SHA256_FORMAT":   "Google rejected a hash",
	"INVALID_HEX_ENCODING":    "Google rejected a hash",
	"INVALID_NUMBER_FORMAT":   "Google rejected an amount",
}

// explain looks for the reason that says most: the texts beside it may repeat what was sent, and are not looked at. If
// the settings are at fault the events are not, and wait.
func explain(judged *destination.Error, body []byte) {
	if !gjson.ValidBytes(body) {
		return
	}
	gjson.GetBytes(body, "error.details").ForEach(func(_, detail gjson.Result) bool {
		found := explained(judged, detail.Get("reason").Str, "")
		detail.Get("fieldViolations").ForEach(func(_, violation gjson.Result) bool {
			found = found || explained(judged, violation.Get("reason").Str, violation.Get("field").Str)
			return !found
		})
		return !found
	})
}

func explained(judged *destination.Error, reason, field string) bool {
	if why, known := settingsAtFault[reason]; known {
		judged.Kind, judged.Reason = destination.Misconfigured, why
		return true
	}
	if strings.HasPrefix(field, "destinations") || strings.HasPrefix(field, "encoding") {
		judged.Kind, judged.Reason = destination.Misconfigured, "Google does not take the account or the conversion action: check customer_id, login_customer_id and conversion_action"
		return true
	}
	why, known := eventAtFault[reason]
	if known {
		judged.Reason = why
	}
	return known
}
