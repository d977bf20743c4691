package ga4

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"kvit/destination"
)

// codes are those that Google's validation may give
// (https://developers.google.com/analytics/devguides/collection/protocol/ga4/validating-events). Others
// are not repeated: an answer may hold what was sent.
var codes = []string{
	"NAME_INVALID", "NAME_RESERVED", "NAME_DUPLICATED", "VALUE_INVALID", "VALUE_REQUIRED",
	"VALUE_OUT_OF_BOUNDS", "EXCEEDED_MAX_ENTITIES", "INTERNAL_ERROR",
}

// Prove has Google validate the form of a sample event, and give a token for deletions if they are configured.
// Nothing is counted. No call of Google's tells whether the measurement id and the secret are right.
func (g *GA4) Prove(ctx context.Context) (string, error) {
	if _, err := g.check(ctx, g.sample(time.Now())); err != nil {
		return "", err
	}
	proved := "Google's validation accepts the form of a sample event; measurement_id and api_secret cannot be checked, since Google answers success to wrong ones as well"
	if g.deleter == nil {
		return proved, nil
	}
	if _, failed := g.deleter.token(ctx); failed != nil {
		return "", fmt.Errorf("get a token for deletions: %w", failed)
	}
	return proved + "; Google accepts the service account for deletions; not proved that it may delete in this property", nil
}

// SendTest has Google validate the event. It never reaches a report.
func (g *GA4) SendTest(ctx context.Context, event destination.Event) (int, error) {
	return g.check(ctx, event)
}

// sample is a test event of the first name in the mapping.
func (g *GA4) sample(now time.Time) destination.Event {
	name := g.mapping.Events()[0]
	if name == destination.AnyCustom {
		name = destination.TestCustom
	}
	return destination.TestEvent(name, now)
}

// check sends the event to Google's validation and reads what it finds.
func (g *GA4) check(ctx context.Context, event destination.Event) (int, error) {
	item, rejected := g.Encode(event)
	if rejected != nil {
		return 0, rejected
	}
	answer, failed := g.post(ctx, g.validate, body([]destination.Encoded{item}, `,"validation_behavior":"ENFORCE_RECOMMENDATIONS"`))
	if failed != nil {
		return 0, failed
	}
	if judged := judge(answer); judged != nil {
		return answer.Status, judged
	}
	if found := findings(answer); found != nil {
		return answer.Status, found
	}
	return answer.Status, nil
}

func findings(answer destination.Answer) *destination.Error {
	var said struct {
		Messages *[]struct {
			Code string `json:"validationCode"`
		} `json:"validationMessages"`
	}
	if answer.Cut || answer.Status != http.StatusOK || json.Unmarshal(answer.Body, &said) != nil || said.Messages == nil {
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "the answer is not one of Google's validation"}
	}
	var found []string
	for _, message := range *said.Messages {
		code := "something else"
		if slices.Contains(codes, message.Code) {
			code = message.Code
		}
		if !slices.Contains(found, code) {
			found = append(found, code)
		}
	}
	if found == nil {
		return nil
	}
	return &destination.Error{Kind: destination.Rejected, Code: answer.Status, Reason: "Google's validation found " + strings.Join(found, ", ")}
}
