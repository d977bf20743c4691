package matomo

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// told is what Matomo's bulk tracking says of a request (plugins/BulkTracking/Tracker/Response.php).
type told struct {
	tracked, invalid int
	indices          []int // of the invalid ones; only a superuser's token is told
}

// read says what became of each item. Everything that leaves a doubt is Ambiguous: kvit then repeats
// what Matomo counts once, and ends the rest as failed, where it can be seen, rather than counting it
// twice or leaving it out in silence.
func (m *Matomo) read(ctx context.Context, items []destination.Encoded, answer destination.Answer) ([]destination.Result, *destination.Error) {
	switch answer.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return nil, &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "no Matomo answers at base_url"}
	case http.StatusBadRequest:
		if m.isRepeatedOrder(ctx, items) {
			return destination.Taken(items, answer.Status), nil
		}
	}
	if judged := destination.Judge(answer.Status, answer.Header); judged != nil {
		return nil, judged
	}
	if queued(answer) {
		return destination.Taken(items, answer.Status), nil
	}
	said, ok := understand(answer, len(items))
	if !ok {
		return nil, unclear(answer, "the answer is not that of Matomo's bulk tracking")
	}
	return m.sort(ctx, items, answer, said)
}

// queued tells whether the plugin QueuedTracking has taken the request: it answers with no body, or
// with the picture that a browser would be sent.
func queued(answer destination.Answer) bool {
	return answer.Status == http.StatusNoContent || bytes.HasPrefix(answer.Body, []byte("GIF8"))
}

func understand(answer destination.Answer, items int) (told, bool) {
	if !gjson.ValidBytes(answer.Body) {
		return told{}, false
	}
	body := gjson.ParseBytes(answer.Body)
	said := told{tracked: count(body.Get("tracked"), items), invalid: count(body.Get("invalid"), items)}
	if body.Get("status").Str != "success" || said.tracked < 0 || said.invalid < 0 || said.tracked+said.invalid > items {
		return told{}, false
	}
	said.indices = indices(body.Get("invalid_indices"), said.invalid, items)
	return said, true
}

// count is a whole number from 0 to most, or -1.
func count(value gjson.Result, most int) int {
	n, err := strconv.Atoi(value.Raw)
	if value.Type != gjson.Number || err != nil || n > most {
		return -1
	}
	return n
}

// indices are the places of the invalid items, or nil unless they fit what else was said.
func indices(list gjson.Result, invalid, items int) []int {
	var places []int
	for _, value := range list.Array() {
		place := count(value, items-1)
		if place < 0 || slices.Contains(places, place) {
			return nil
		}
		places = append(places, place)
	}
	if len(places) != invalid {
		return nil
	}
	return places
}

func (m *Matomo) sort(ctx context.Context, items []destination.Encoded, answer destination.Answer, said told) ([]destination.Result, *destination.Error) {
	results := destination.Taken(items, answer.Status)
	switch {
	case said.tracked == len(items):
		return results, nil
	case said.tracked == 0 && said.invalid == 0:
		return nil, &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "Matomo records nothing at present"}
	case said.invalid == len(items):
		return m.allInvalid(ctx, items, answer)
	case said.tracked+said.invalid < len(items):
		return nil, unclear(answer, "Matomo has passed over some of the events, and does not say which")
	case said.indices != nil:
		for _, place := range said.indices {
			results[place].Err = invalid(answer)
		}
		return results, nil
	case items[0].Group == repeatable:
		// The halves repeat what was recorded, which does no harm, until the invalid one stands alone.
		return nil, invalid(answer)
	default:
		for i := range results {
			results[i].Err = unclear(answer, "Matomo has found some of the events invalid, and does not say which")
		}
		return results, nil
	}
}

// allInvalid asks why nothing was taken: Matomo also finds an event invalid if the site does not exist,
// or if the token is wrong and the event holds an address or is older than a day.
func (m *Matomo) allInvalid(ctx context.Context, items []destination.Encoded, answer destination.Answer) ([]destination.Result, *destination.Error) {
	switch failed := m.seesSite(ctx); {
	case failed == nil && m.isLoneOrder(items):
		return destination.Taken(items, answer.Status), nil
	case failed == nil:
		results := destination.Taken(items, answer.Status)
		for i := range results {
			results[i].Err = invalid(answer)
		}
		return results, nil
	case failed.Kind == destination.Unauthorized:
		return nil, failed
	default:
		return nil, &destination.Error{
			Kind: destination.Misconfigured, Code: answer.Status,
			Reason: "Matomo found all events invalid, and the Reporting API did not tell whether site_id and token_auth are right",
		}
	}
}

// isRepeatedOrder tells whether a refusal is to be taken for "recorded before".
func (m *Matomo) isRepeatedOrder(ctx context.Context, items []destination.Encoded) bool {
	return m.isLoneOrder(items) && m.seesSite(ctx) == nil
}

func (m *Matomo) isLoneOrder(items []destination.Encoded) bool {
	return m.RepeatedOrderIs400 && len(items) == 1 && bytes.Contains(items[0].Body, []byte("&ec_id="))
}

func invalid(answer destination.Answer) *destination.Error {
	return &destination.Error{Kind: destination.Rejected, Code: answer.Status, Reason: "Matomo found the event invalid"}
}

func unclear(answer destination.Answer, reason string) *destination.Error {
	return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: reason}
}
