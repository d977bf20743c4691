package destination

import (
	"errors"
	"regexp"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// phone puts the customer's number into E.164, or leaves it out.
func (d *decoder) phone(shopCountry string) {
	c := d.payload.Customer
	if c == nil || c.Phone == "" || isPhone(c.Phone) {
		return
	}
	country := shopCountry
	if c.Address != nil && c.Address.Country != "" {
		country = c.Address.Country
	}
	number, why := e164(c.Phone, country)
	if c.Phone = number; why != "" {
		d.way = append(d.way, step{member: "customer"})
		d.omit(step{member: "phone"}, why)
		d.way = d.way[:0]
	}
}

// trunkZero is the zero of a national number within an international one, as in +49 (0)30: libphonenumber
// drops it where the country has one, and does not where it has none.
var trunkZero = regexp.MustCompile(`^\s*(\+|00)(.*?)\(0\)`)

// e164 reads a number in any form, as libphonenumber does: with the country's code behind + or 00, or without it
// if the country is known.
func e164(text, country string) (number, why string) {
	text = trunkZero.ReplaceAllString(strings.Map(visible, text), "$1$2")
	parsed, err := phonenumbers.Parse(text, country)
	// Not every country dials 00, and those that do not take it for a part of the number, which is then too long, or
	// somebody else's.
	if rest, abroad := strings.CutPrefix(strings.TrimSpace(text), "00"); abroad {
		if foreign, foreignErr := phonenumbers.Parse("+"+rest, ""); foreignErr == nil && phonenumbers.IsValidNumber(foreign) || err != nil {
			parsed, err = foreign, foreignErr
		}
	}
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode) && country == "":
		return "", "no phone number with its country's code, and no country"
	case err != nil || !phonenumbers.IsPossibleNumber(parsed):
		return "", "no phone number"
	}
	return phonenumbers.Format(parsed, phonenumbers.E164), ""
}

// IsValidPhone tells whether a number in E.164 is one that its country gives to somebody, as far as libphonenumber
// knows.
func IsValidPhone(number string) bool {
	if number == "" {
		return false
	}
	parsed, err := phonenumbers.Parse(number, "")
	return err == nil && phonenumbers.IsValidNumber(parsed)
}
