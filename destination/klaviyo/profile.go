package klaviyo

import (
	"regexp"

	"kvit/destination"
)

// profile is who it is. Klaviyo makes the profile, or updates what is given of it.
type profile struct {
	Email        string    `json:"email,omitempty"`
	PhoneNumber  string    `json:"phone_number,omitempty"`
	ExternalID   string    `json:"external_id,omitempty"`
	ExchangeID   string    `json:"_kx,omitempty"`
	FirstName    string    `json:"first_name,omitempty"`
	LastName     string    `json:"last_name,omitempty"`
	Organization string    `json:"organization,omitempty"`
	Locale       string    `json:"locale,omitempty"`
	Location     *location `json:"location,omitempty"`
}

type location struct {
	Address1 string `json:"address1,omitempty"`
	Address2 string `json:"address2,omitempty"`
	City     string `json:"city,omitempty"`
	Region   string `json:"region,omitempty"`
	Zip      string `json:"zip,omitempty"`
	Country  string `json:"country,omitempty"`
	IP       string `json:"ip,omitempty"`
}

// locales are the languages with a country, which is the form that Klaviyo shows.
var locales = regexp.MustCompile(`^[a-z]{2,3}-[A-Z]{2}$`)

// profileOf fails if nothing tells who it is. Beside an e-mail address a phone number that nobody can have is left
// out: it is not needed then, and a number that Klaviyo does not take would cost the event.
func profileOf(event destination.Event) (profile, *destination.Error) {
	customer, client := event.Payload.Customer, event.Payload.Client
	if customer == nil {
		customer = &destination.Customer{}
	}
	if client == nil {
		client = &destination.Browser{}
	}
	p := profile{
		Email: customer.Email, ExternalID: customer.ID, ExchangeID: client.KlaviyoID,
		FirstName: customer.FirstName, LastName: customer.LastName, Organization: customer.Company,
		Location: locationOf(customer.Address, client.IP),
	}
	if p.Email == "" || destination.IsValidPhone(customer.Phone) {
		p.PhoneNumber = customer.Phone
	}
	if locales.MatchString(customer.Language) {
		p.Locale = customer.Language
	}
	if p.Email == "" && p.PhoneNumber == "" && p.ExternalID == "" && p.ExchangeID == "" {
		return profile{}, destination.Reject("customer.email: is required, or customer.phone, customer.id or client.klaviyo_id")
	}
	return p, nil
}

func locationOf(address *destination.Address, ip string) *location {
	l := location{IP: ip}
	if address != nil {
		l.City, l.Region, l.Zip, l.Country = address.City, address.Region, address.PostalCode, address.Country
		if len(address.Lines) > 0 {
			l.Address1 = address.Lines[0]
		}
		if len(address.Lines) > 1 {
			l.Address2 = address.Lines[1]
		}
	}
	if l == (location{}) {
		return nil
	}
	return &l
}
