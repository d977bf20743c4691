package spread

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"kvit/config"
	"kvit/destination"
)

// The values of Options.ValidateOn: the event at which an order counts, as in SPREAD's back office.
const (
	Paid       = "paid"
	Registered = "registered"
)

// The values of Options.Identity: what SPREAD knows a profile by. Changing it later makes a second
// profile of every person.
const (
	Email      = "email"
	ExternalID = "external_id"
)

// Options are the settings of a Spread. What is empty takes the default, where one is named.
type Options struct {
	PublicKey    config.Secret // user name of the API
	PrivateKey   config.Secret // password of the API
	ValidateOn   string        // Paid (default) or Registered
	Identity     string        // Email (default) or ExternalID
	Grants       Grants
	Tags         []string          // added to every profile
	OrderTags    []string          // added to every order
	CustomFields map[string]string // SPREAD's numeric field id: dotted path into the payload
	CartTrigger  string            // technical id of the automation; empty: carts are not sent
	TimeZone     string            // of order dates, default Europe/Paris
	BaseURL      string            // default https://social-sb.com
	URLs         URLs              // each has a default below BaseURL
	HTTP         destination.ClientOptions
	Logger       *slog.Logger // may be nil
}

// Grants are the technical names of the consents or legal bases that an event accepts; empty: none.
// GET /api/v2/consents lists those of an account.
type Grants struct {
	Order      string // an order that counts; usually LegalBasisOrder
	Account    string // a new account; usually LegalBasisOptin
	EmailOptin string // usually NewsEmail
	SMSOptin   string // usually NewsSMS
}

// URLs are the addresses of SPREAD's methods.
type URLs struct {
	CreateAccount, UpdateAccount, CreateOrder, UpdateOrder string
	Automations                                            string // /trigger/<id> and /stop/<id> are added
}

// What Options that are left empty become.
const (
	defaultTimeZone = "Europe/Paris"
	defaultBaseURL  = "https://social-sb.com"
)

// settings are Options that were checked and filled in.
type settings struct {
	Options
	zone   *time.Location
	fields []customField // by id
}

type customField struct {
	id   string
	path destination.Path
}

func newSettings(options Options) (settings, error) {
	s := settings{Options: options}
	s.ValidateOn = or(s.ValidateOn, Paid)
	s.Identity = or(s.Identity, Email)
	s.setURLs()
	if err := s.check(); err != nil {
		return settings{}, err
	}
	zone, err := time.LoadLocation(or(s.TimeZone, defaultTimeZone))
	if err != nil {
		return settings{}, errors.New("time_zone: is not a known time zone")
	}
	s.zone = zone
	for id, path := range s.CustomFields {
		s.fields = append(s.fields, customField{id: id, path: destination.NewPath(path)})
	}
	slices.SortFunc(s.fields, func(a, b customField) int { return strings.Compare(a.id, b.id) })
	return s, nil
}

func (s *settings) setURLs() {
	usual := urlsAt(strings.TrimSuffix(or(s.BaseURL, defaultBaseURL), "/"))
	s.URLs.CreateAccount = or(s.URLs.CreateAccount, usual.CreateAccount)
	s.URLs.UpdateAccount = or(s.URLs.UpdateAccount, usual.UpdateAccount)
	s.URLs.CreateOrder = or(s.URLs.CreateOrder, usual.CreateOrder)
	s.URLs.UpdateOrder = or(s.URLs.UpdateOrder, usual.UpdateOrder)
	s.URLs.Automations = strings.TrimSuffix(or(s.URLs.Automations, usual.Automations), "/")
}

// urlsAt is where SPREAD has its methods.
func urlsAt(base string) URLs {
	return URLs{
		CreateAccount: base + "/api/CreateAccount", UpdateAccount: base + "/api/UpdateAccount",
		CreateOrder: base + "/api/CreateOrder", UpdateOrder: base + "/api/UpdateOrder",
		Automations: base + "/api/v3/automations",
	}
}

func (s *settings) check() error {
	switch {
	case !s.PublicKey.IsSet():
		return errors.New("public_key: is required")
	case !s.PrivateKey.IsSet():
		return errors.New("private_key: is required")
	case s.ValidateOn != Paid && s.ValidateOn != Registered:
		return fmt.Errorf("validate_on: must be %s or %s", Paid, Registered)
	case s.Identity != Email && s.Identity != ExternalID:
		return fmt.Errorf("identity: must be %s or %s", Email, ExternalID)
	}
	for id := range s.CustomFields {
		if id == "" || strings.Trim(id, "0123456789") != "" {
			return errors.New("custom_fields: must be named by SPREAD's numeric ids")
		}
	}
	for _, address := range []string{s.URLs.CreateAccount, s.URLs.UpdateAccount, s.URLs.CreateOrder, s.URLs.UpdateOrder, s.URLs.Automations} {
		local, err := destination.CheckAddress(address)
		if err != nil {
			return fmt.Errorf("urls: %w", err)
		}
		s.HTTP.AllowPrivate = s.HTTP.AllowPrivate || local
	}
	return nil
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
