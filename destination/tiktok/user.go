package tiktok

import (
	"strings"
	"unicode"

	"kvit/destination"
)

// user says who it was: hashes, but for places and what the browser told.
type user struct {
	Email      []string `json:"email,omitempty"`
	Phone      []string `json:"phone,omitempty"`
	ExternalID []string `json:"external_id,omitempty"`
	FirstName  string   `json:"first_name,omitempty"`
	LastName   string   `json:"last_name,omitempty"`
	City       string   `json:"city,omitempty"`
	State      string   `json:"state,omitempty"`
	Country    string   `json:"country,omitempty"`
	ZipCode    string   `json:"zip_code,omitempty"`
	TTClid     string   `json:"ttclid,omitempty"`
	TTP        string   `json:"ttp,omitempty"`
	IP         string   `json:"ip,omitempty"`
	UserAgent  string   `json:"user_agent,omitempty"`
	Locale     string   `json:"locale,omitempty"`
}

func userOf(payload destination.Payload) (user, *destination.Error) {
	var u user
	u.customer(payload.Customer)
	if b := payload.Client; b != nil {
		u.TTClid, u.TTP, u.IP, u.UserAgent = b.TTClid, b.TTP, b.IP, b.UserAgent
	}
	if !u.usable() {
		return user{}, destination.Reject("customer.email: is required, or customer.phone, customer.id, client.ttclid, client.ttp or client.ip")
	}
	return u, nil
}

// usable tells whether there is anything to find a person by: an event without it is of no use to
// TikTok, and might cost the others in its request.
func (u *user) usable() bool {
	return u.Email != nil || u.Phone != nil || u.ExternalID != nil || u.TTClid != "" || u.TTP != "" || u.IP != ""
}

// The rules of hashing and reducing are those of a large integrator's connector, segmentio's
// tiktok-conversions; TikTok's own page could not be read.

func (u *user) customer(c *destination.Customer) {
	if c == nil {
		return
	}
	u.Email, u.Phone = destination.HashedList(lower(c.Email)), destination.HashedList(phone(c.Phone))
	u.ExternalID = destination.HashedList(lower(c.ID))
	u.FirstName, u.LastName = destination.Hashed(compact(c.FirstName)), destination.Hashed(compact(c.LastName))
	u.Locale = c.Language
	if a := c.Address; a != nil {
		u.City, u.State, u.Country = reduced(a.City), reduced(a.Region), reduced(a.Country)
		u.ZipCode = destination.Hashed(compact(destination.PostalCode(a)))
	}
}

func lower(text string) string { return destination.Lower(text) }

// maxPhone is the length with the plus. A longer number is left out, because its beginning is the number
// of somebody else.
const maxPhone = 15

func phone(text string) string {
	digits := keep(text, isDigit)
	if digits == "" || len(digits) >= maxPhone {
		return ""
	}
	return "+" + digits
}

// compact removes white space.
func compact(text string) string {
	return keep(destination.Lower(text), func(r rune) bool { return !unicode.IsSpace(r) })
}

// reduced keeps ASCII letters and digits, so that København is kbenhavn; what TikTok itself does with
// other letters was not found.
func reduced(text string) string {
	return keep(destination.Lower(text), func(r rune) bool { return isDigit(r) || ('a' <= r && r <= 'z') })
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func keep(text string, good func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if good(r) {
			return r
		}
		return -1
	}, text)
}
