package snap

import (
	"strings"
	"unicode"

	"kvit/destination"
)

// userData is who did it: SHA-256 in hexadecimal digits, but for what the browser told. The forms are those of
// https://developers.snap.com/api/marketing-api/Conversions-API/Parameters; what has not that form is left out.
type userData struct {
	Email      []string `json:"em,omitempty"`
	Phone      []string `json:"ph,omitempty"`
	FirstName  []string `json:"fn,omitempty"`
	LastName   []string `json:"ln,omitempty"`
	Gender     []string `json:"ge,omitempty"`
	City       []string `json:"ct,omitempty"`
	State      []string `json:"st,omitempty"`
	Zip        []string `json:"zp,omitempty"`
	Country    []string `json:"country,omitempty"`
	ExternalID string   `json:"external_id,omitempty"`
	IP         string   `json:"client_ip_address,omitempty"`
	UserAgent  string   `json:"client_user_agent,omitempty"`
	ClickID    string   `json:"sc_click_id,omitempty"`
	Cookie     string   `json:"sc_cookie1,omitempty"`
}

func newUserData(p destination.Payload) (userData, *destination.Error) {
	var u userData
	if p.Customer != nil {
		u.customer(*p.Customer)
	}
	if b := p.Client; b != nil {
		u.IP, u.UserAgent, u.ClickID, u.Cookie = b.IP, b.UserAgent, b.SCClid, b.SCCookie
	}
	if u.Email == nil && u.Phone == nil && (u.IP == "" || u.UserAgent == "") {
		return userData{}, destination.Reject("customer.email: is required, or customer.phone, or client.ip with client.user_agent")
	}
	return u, nil
}

func (u *userData) customer(c destination.Customer) {
	u.Email = destination.HashedList(destination.Lower(c.Email))
	u.Phone = destination.HashedList(strings.TrimPrefix(c.Phone, "+"))
	u.FirstName, u.LastName = destination.HashedList(letters(c.FirstName)), destination.HashedList(letters(c.LastName))
	u.Gender = destination.HashedList(gender(c.Gender))
	u.ExternalID = destination.Hashed(c.ID)
	if a := c.Address; a != nil {
		u.City, u.State = destination.HashedList(letters(a.City)), destination.HashedList(state(a.Region))
		u.Zip, u.Country = destination.HashedList(zip(a)), destination.HashedList(destination.Lower(a.Country))
	}
}

// letters are the small letters of a text, with the marks that belong to them.
func letters(text string) string {
	return keep(destination.Lower(text), func(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) })
}

func keep(text string, good func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if good(r) {
			return r
		}
		return -1
	}, text)
}

// gender is empty for words that kvit does not know.
func gender(text string) string {
	switch destination.Lower(text) {
	case "f", "female":
		return "f"
	case "m", "male":
		return "m"
	default:
		return ""
	}
}

// state is a code of two letters, as Snap wants it; empty for a region's name.
func state(region string) string {
	code := destination.Lower(region)
	if len(code) == 2 && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz") == "" {
		return code
	}
	return ""
}

// zip has five digits in the United States, and letters and digits alone elsewhere.
func zip(address *destination.Address) string {
	code := keep(destination.Lower(destination.PostalCode(address)), func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
	if address.Country == "US" && len(code) > 5 {
		return code[:5]
	}
	return code
}
