package klaviyo

import (
	"strings"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// call is one request: the same at every attempt.
type call struct {
	path string
	body []byte
}

// resource and document are JSON:API's wrappings (https://jsonapi.org/format).
type resource[T any] struct {
	Type       string `json:"type"`
	Attributes T      `json:"attributes"`
}

type document[T any] struct {
	Data T `json:"data"`
}

// The limits of an event (https://developers.klaviyo.com/en/reference/events_api_overview#limitations).
// Its 5 MB cannot be reached: destination.MaxPayload is far below.
const (
	maxProperties = 400
	maxText       = 100_000 // bytes
)

// call builds the request that the event stands for.
func (s *settings) call(event destination.Event) (call, *destination.Error) {
	metric, ok := s.mapping.Of(event.Name)
	isCustom := strings.HasPrefix(event.Name, destination.CustomPrefix) // whatever its own name is
	switch {
	case !ok:
		return call{}, destination.Reject("name: is not an event that this destination sends")
	case metric == subscribe && !isCustom:
		return s.subscription(event)
	case metric == unsubscribe && !isCustom:
		return s.unsubscription(event)
	case !isMetric(metric):
		return call{}, destination.Reject("name: must be shorter than 128 characters")
	default:
		return s.event(event, metric)
	}
}

// finish writes the body.
func finish(path string, body any) (call, *destination.Error) {
	written := destination.JSON(body)
	if len(written) > maxText && hasLongText(gjson.ParseBytes(written)) {
		return call{}, destination.Reject("payload: must not hold a text longer than 100 kB")
	}
	return call{path: path, body: written}, nil
}

func hasLongText(value gjson.Result) bool {
	if value.Type == gjson.String {
		return len(value.Str) > maxText
	}
	found := false
	if value.IsObject() || value.IsArray() {
		value.ForEach(func(_, member gjson.Result) bool {
			found = hasLongText(member)
			return !found
		})
	}
	return found
}
