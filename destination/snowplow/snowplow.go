// Package snowplow sends events to a Snowplow collector, by version 2 of the tracker protocol
// (https://docs.snowplow.io/docs/events/http-requests/). docs/destinations/snowplow.md says what is
// sent for each event. A collector answers 200 before it looks at an event, so that what is delivered
// may still fail validation; and it drops no repeats, which is left to the models of the warehouse.
package snowplow

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"kvit/config"
	"kvit/destination"
)

// The limits of a collector with default settings: 2 MB a request, 1 MB an event.
const (
	maxEvent = 1_000_000
	maxBody  = 2_000_000
)

// before and after enclose the events of a request.
const (
	before = `{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[`
	after  = `]}`
)

const path = "/com.snowplowanalytics.snowplow/tp2"

// What Options that are left empty become.
const (
	defaultAppID     = "webshop"
	defaultNamespace = "kvit"
)

// Options are the settings of a Snowplow. What is empty takes the default, where one is named.
type Options struct {
	BaseURL   string            // the collector's address, without the path of the protocol
	AppID     string            // the application that events come from; default webshop
	Namespace string            // the tracker's name; default kvit
	SendIP    bool              // send the visitor's IP address
	Events    map[string]string // changes to the names of events, see destination.Mapping.With
	HTTP      destination.ClientOptions
}

// Snowplow is a destination. Safe for concurrent use.
type Snowplow struct {
	Options
	mapping destination.Mapping
	client  *destination.Client
	address string
}

var _ destination.Batcher = (*Snowplow)(nil)

// New returns a Snowplow, or an error that names the wrong option.
func New(options Options) (*Snowplow, error) {
	s := &Snowplow{Options: options}
	s.AppID = cmp.Or(s.AppID, defaultAppID)
	s.Namespace = cmp.Or(s.Namespace, defaultNamespace)
	local, err := destination.CheckAddress(s.BaseURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("base_url: %w", err)
	case config.TechnicalName(s.AppID) != "":
		return nil, errors.New("app_id: must be up to 100 letters, digits and _.-")
	case config.TechnicalName(s.Namespace) != "":
		return nil, errors.New("namespace: must be up to 100 letters, digits and _.-")
	}
	if s.mapping, err = defaults.Changed(s.Events, nameProblem); err != nil {
		return nil, err
	}
	if err := s.mapping.OneSale(transaction); err != nil {
		return nil, err
	}
	s.HTTP.AllowPrivate = s.HTTP.AllowPrivate || local
	s.address = strings.TrimSuffix(s.BaseURL, "/") + path
	s.client = destination.NewClient(s.HTTP)
	return s, nil
}

// Reach connects to where the events go and sends nothing.
func (s *Snowplow) Reach(ctx context.Context) error { return s.client.Reach(ctx, s.address) }

// Traits tells that repeats do no harm: they have the id of the first.
func (s *Snowplow) Traits() destination.Traits {
	return destination.Traits{
		Events: s.mapping.Events(),
		Batch:  destination.Limits{Bytes: maxBody - len(before) - len(after)},
	}
}

// Send sends the event in a request of its own.
func (s *Snowplow) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, s, event)
}

// Encode writes the event as an element of data. All events can share a request.
func (s *Snowplow) Encode(event destination.Event) (destination.Encoded, *destination.Error) {
	element, rejected := s.element(event)
	if rejected != nil {
		return destination.Encoded{}, rejected
	}
	body := destination.JSON(element)
	if len(body) > maxEvent {
		return destination.Encoded{}, destination.Reject("payload: must not be larger than 1 MB in Snowplow's form")
	}
	return destination.Encoded{Body: body}, nil
}

// SendBatch makes one request. Any 2xx is delivered, whatever its body; 413 is Rejected, so that halves
// are tried where a collector takes less than Snowplow's default.
func (s *Snowplow) SendBatch(ctx context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address, bytes.NewReader(destination.Join(before, items, after)))
	if err != nil {
		return nil, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Content-Type", "application/json")
	answer, failed := s.client.Do(req)
	if failed != nil {
		return nil, failed
	}
	switch answer.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return nil, &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "no collector takes events at this address"}
	case http.StatusRequestEntityTooLarge:
		return nil, &destination.Error{Kind: destination.Rejected, Code: answer.Status, Reason: "the collector takes no request of this size"}
	}
	if judged := destination.Judge(answer.Status, answer.Header); judged != nil {
		return nil, judged
	}
	return destination.Taken(items, answer.Status), nil
}
