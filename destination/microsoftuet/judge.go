package microsoftuet

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// judge reads an answer to a request of n events. An error that names events by their index is about
// those; the others were taken. Nothing but this is known about answers, so that one that leaves a
// doubt is Ambiguous, and Microsoft recognises the repeat by its id.
func judge(answer destination.Answer, n int) ([]destination.Result, *destination.Error) {
	if answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed {
		return nil, &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "Microsoft has nothing at this address: check tag_id and base_url"}
	}
	said := readAnswer(answer.Body, n)
	if judged := destination.Judge(answer.Status, answer.Header); judged != nil {
		if fault, named := said.faults[0]; named && n == 1 && judged.Kind == destination.Rejected {
			judged.Reason = fault
		}
		return nil, judged
	}
	if !said.taken(answer, n) && len(said.faults) == 0 {
		return nil, unclear(answer, "the answer does not say what became of the events")
	}
	results := make([]destination.Result, n)
	for i := range results {
		results[i].Code = answer.Status
		if fault, named := said.faults[i]; named {
			results[i].Err = &destination.Error{Kind: destination.Rejected, Code: answer.Status, Reason: fault}
		} else if !said.taken(answer, n) {
			results[i].Err = unclear(answer, "the answer does not say what became of the event")
		}
	}
	return results, nil
}

func unclear(answer destination.Answer, reason string) *destination.Error {
	if answer.Cut {
		reason = "the answer broke off"
	}
	return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: reason}
}

// said is what an answer says.
type said struct {
	faults   map[int]string // why an event was refused, by its index
	odd      bool           // it is cut short, no JSON object, or has an error that names no event of the request
	received int64          // how many events were taken; -1 if it does not say
}

func readAnswer(body []byte, n int) said {
	s := said{faults: map[int]string{}, received: -1}
	if len(bytes.TrimSpace(body)) == 0 {
		return s
	}
	root := gjson.ParseBytes(body)
	s.odd = !root.IsObject() || !gjson.ValidBytes(body)
	if received := root.Get("eventsReceived"); received.Type == gjson.Number {
		s.received = received.Int()
	}
	failure := root.Get("error")
	details := failure.Get("details")
	if failure.Exists() && failure.Type != gjson.Null && len(details.Array()) == 0 {
		s.odd = true
	}
	details.ForEach(func(_, detail gjson.Result) bool {
		s.detail(detail, n)
		return true
	})
	return s
}

// detail reads one error. Published clients know of warnings as well, with which an event is taken.
func (s *said) detail(detail gjson.Result, n int) {
	index := detail.Get("index")
	switch {
	case detail.Get("isWarning").Bool():
	case index.Type != gjson.Number || index.Num != float64(index.Int()) || index.Int() < 0 || index.Int() >= int64(n):
		s.odd = true
	default:
		s.faults[int(index.Int())] = fault(detail.Get("propertyName").String())
	}
}

// taken tells whether the events without a fault were taken for sure. That 200 is the status of
// success is inferred: another 2xx, and a body that counts fewer events, leave a doubt.
func (s *said) taken(answer destination.Answer, n int) bool {
	switch {
	case s.odd || answer.Cut:
		return false
	case s.received >= 0:
		return s.received >= int64(n-len(s.faults))
	default:
		return answer.Status == http.StatusOK
	}
}

// properties are the names that kvit gives to what it sends. Others, which may hold what was sent,
// are not repeated.
var properties = []string{
	"eventType", "eventName", "eventId", "eventTime", "eventSourceUrl", "referrerUrl", "pageTitle", "adStorageConsent",
	"userData", "em", "ph", "externalId", "clientUserAgent", "clientIpAddress", "msclkid",
	"customData", "pageType", "transactionId", "value", "currency", "itemIds", "items", "id", "name", "price", "quantity", "searchTerm",
}

// fault says which property was refused, whatever the path and the case it is written in.
func fault(property string) string {
	last := property[strings.LastIndexByte(property, '.')+1:]
	i := slices.IndexFunc(properties, func(known string) bool { return strings.EqualFold(known, last) })
	if i < 0 {
		return "Microsoft does not accept the event"
	}
	return "Microsoft does not accept the event's " + properties[i]
}
