package ga4

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"kvit/config"
	"kvit/destination"
)

// The values of Options.Region: where Google takes the data in.
const (
	EU     = "eu"     // https://region1.google-analytics.com
	Global = "global" // https://www.google-analytics.com
)

// The values of Options.WithoutClientID: what becomes of an event without client.ga_client_id.
const (
	Skip   = "skip"   // it is rejected
	Derive = "derive" // it gets a client id of its own, and with that a user of its own
)

// MaxParams is how many own parameters Options.Params may name: with kvit's own, below Google's 25.
const MaxParams = 10

// Options are the settings of a GA4. What is empty takes the default, where one is named.
type Options struct {
	MeasurementID   string            // G-…, of the web data stream
	APISecret       config.Secret     // of the same stream
	Region          string            // EU (default) or Global
	BaseURL         string            // instead of the region's address
	AdPurpose       string            // the purpose that lets Google use events for advertising; default marketing
	UserData        bool              // send hashed data of the customer, where AdPurpose is accepted
	WithoutClientID string            // Skip (default) or Derive
	Params          map[string]string // Google's parameter name: dotted path into the payload
	Events          map[string]string // changes to the names of events, see destination.Mapping.With
	Deletion        Deletion          // empty: Google is not told of a person who asks for erasure
	HTTP            destination.ClientOptions
}

// addresses are Google's, by region. Both have /mp/collect and /debug/mp/collect
// (https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference).
var addresses = map[string]string{
	EU:     "https://region1.google-analytics.com",
	Global: "https://www.google-analytics.com",
}

// nameForm is Google's rule for names of events and parameters
// (https://support.google.com/analytics/answer/9267744).
const nameForm = `[A-Za-z][A-Za-z0-9_]{0,39}`

var plainName = regexp.MustCompile(`^` + nameForm + `$`)

// settings are Options that were checked and filled in.
type settings struct {
	Options
	mapping destination.Mapping
	params  map[string]destination.Path
	deleter *deleter // nil: not configured
}

func newSettings(options Options) (settings, error) {
	s := settings{Options: options, params: map[string]destination.Path{}}
	s.Region = cmp.Or(s.Region, EU)
	s.AdPurpose = cmp.Or(s.AdPurpose, "marketing")
	s.WithoutClientID = cmp.Or(s.WithoutClientID, Skip)
	if err := s.check(); err != nil {
		return settings{}, err
	}
	var err error
	if s.mapping, err = defaults.Changed(s.Events, nameProblem); err != nil {
		return settings{}, err
	}
	if s.Deletion != (Deletion{}) {
		if s.deleter, err = newDeleter(s.Deletion, s.HTTP); err != nil {
			return settings{}, fmt.Errorf("deletion: %w", err)
		}
	}
	s.BaseURL = strings.TrimSuffix(cmp.Or(s.BaseURL, addresses[s.Region]), "/")
	local, err := destination.CheckAddress(s.BaseURL)
	if err != nil {
		return settings{}, fmt.Errorf("base_url: %w", err)
	}
	s.HTTP.AllowPrivate = s.HTTP.AllowPrivate || local
	for name, path := range s.Params {
		s.params[name] = destination.NewPath(path)
	}
	return s, nil
}

func (s *settings) check() error {
	switch {
	case measurementID(s.MeasurementID) != "":
		return errors.New("measurement_id: must be the G-… of a web data stream")
	case !s.APISecret.IsSet():
		return errors.New("api_secret: is required")
	case addresses[s.Region] == "":
		return fmt.Errorf("region: must be %s or %s", EU, Global)
	case s.WithoutClientID != Skip && s.WithoutClientID != Derive:
		return fmt.Errorf("without_client_id: must be %s or %s", Skip, Derive)
	}
	if err := checkParams(s.Params); err != nil {
		return fmt.Errorf("params: %w", err)
	}
	return nil
}

func checkParams(params map[string]string) error {
	if len(params) > MaxParams {
		return fmt.Errorf("must be at most %d", MaxParams)
	}
	for name := range params {
		if problem := nameProblem("", name); problem != "" || ownParams[name] {
			return errors.New("must be named with up to 40 letters, digits and _, beginning with a letter, and none of those that kvit or Google sets")
		}
	}
	return nil
}

// address is where a request goes: path is collect or debug. It holds the secret, as Google wants it.
func (s *settings) address(path string) string {
	query := url.Values{"measurement_id": {s.MeasurementID}, "api_secret": {s.APISecret.Reveal()}}
	return s.BaseURL + path + "?" + query.Encode()
}
