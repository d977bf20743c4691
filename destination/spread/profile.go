package spread

import (
	"slices"
	"strings"

	"kvit/destination"
)

// profile adds who it is and what that person agreed to.
func (s *settings) profile(f *form, event destination.Event) *destination.Error {
	customer := event.Payload.Customer
	if customer == nil {
		customer = &destination.Customer{}
	}
	if err := s.identity(f, customer); err != nil {
		return err
	}
	person(f, customer)
	if client := event.Payload.Client; client != nil {
		f.data("customer_cookie", client.SpreadCookie)
	}
	f.list("add_tag", withoutRepeats(s.Tags, customer.Tags))
	for _, field := range s.fields {
		f.nested("custom_fields", field.id, field.path.Text(event.Raw))
	}
	return s.consents(f, event)
}

// identity sends the external id of every customer or of none: SPREAD makes two profiles of a person
// who is sent both ways.
func (s *settings) identity(f *form, customer *destination.Customer) *destination.Error {
	if s.Identity == Email && customer.Email == "" {
		return destination.Reject("customer.email: is required")
	}
	f.data("customer_email", customer.Email)
	if s.Identity == Email {
		return nil
	}
	if customer.ID == "" {
		return destination.Reject("customer.id: is required, since identity is external_id")
	}
	if len([]rune(customer.ID)) > 250 {
		return destination.Reject("customer.id: must not be longer than 250 characters")
	}
	f.data("external_id", customer.ID)
	return nil
}

func person(f *form, customer *destination.Customer) {
	f.data("customer_name", customer.LastName)
	f.data("customer_firstname", customer.FirstName)
	f.data("customer_gender", gender(customer.Gender))
	f.data("customer_birthday", customer.Birthday)
	f.data("customer_company", customer.Company)
	f.data("customer_mobile", customer.Phone)
	f.data("customer_lang", strings.ReplaceAll(customer.Language, "-", "_"))
	if address := customer.Address; address != nil {
		f.data("customer_address", strings.Join(address.Lines, ", "))
		f.data("customer_cp", address.PostalCode)
		f.data("customer_city", address.City)
		f.data("customer_country", address.Country)
	}
}

// gender is one of the two words that SPREAD knows, or nothing.
func gender(text string) string {
	text = strings.ToLower(text)
	if text == "male" || text == "female" {
		return text
	}
	return ""
}

func withoutRepeats(lists ...[]string) []string {
	var all []string
	for _, tag := range slices.Concat(lists...) {
		if tag != "" && !slices.Contains(all, tag) {
			all = append(all, tag)
		}
	}
	return all
}

// consents adds what the event grants or takes back. Nothing is granted by e-mail or SMS unless the
// visitor said so: in the payload, or by the event itself.
func (s *settings) consents(f *form, event destination.Event) *destination.Error {
	email, sms, err := optin(event)
	if err != nil {
		return err
	}
	f.data("customer_isoptin", digit(email))
	granted := map[string]string{} // two grants may share a name: the person's own word wins
	if s.counts(event.Name) {
		granted[s.Grants.Order] = "1"
	}
	if event.Name == "account_created" {
		granted[s.Grants.Account] = "1"
	}
	if (email != nil && *email) || event.Name == "newsletter_optout" {
		granted[s.Grants.EmailOptin] = digit(email)
	}
	if (sms != nil && *sms) || event.Name == "sms_optout" {
		granted[s.Grants.SMSOptin] = digit(sms)
	}
	for _, name := range []string{s.Grants.Order, s.Grants.Account, s.Grants.EmailOptin, s.Grants.SMSOptin} {
		if name != "" {
			f.nested("consents", name, granted[name])
		}
		delete(granted, name)
	}
	return nil
}

// optin is what the visitor said, by the payload or by the event itself; nil is nothing.
func optin(event destination.Event) (email, sms *bool, err *destination.Error) {
	if event.Payload.Optin != nil {
		email, sms = event.Payload.Optin.Email, event.Payload.Optin.SMS
	}
	switch event.Name {
	case "newsletter_optin", "newsletter_optout":
		email, err = stated(email, event.Name == "newsletter_optin", "optin.email")
	case "sms_optin", "sms_optout":
		sms, err = stated(sms, event.Name == "sms_optin", "optin.sms")
	}
	return email, sms, err
}

// stated is what the event says, unless its own payload says the opposite.
func stated(inside *bool, event bool, field string) (*bool, *destination.Error) {
	if inside != nil && *inside != event {
		return nil, destination.Reject("%s: contradicts the name of the event", field)
	}
	return &event, nil
}

func digit(value *bool) string {
	switch {
	case value == nil:
		return ""
	case *value:
		return "1"
	default:
		return "0"
	}
}
