package reddit

import (
	"strings"

	"kvit/destination"
)

// user is who did it: SHA-256 in hexadecimal digits, but for the user agent and the id of Reddit's own script.
type user struct {
	Email      string `json:"email,omitempty"`
	Phone      string `json:"phone_number,omitempty"`
	ExternalID string `json:"external_id,omitempty"`
	IP         string `json:"ip_address,omitempty"`
	UserAgent  string `json:"user_agent,omitempty"`
	UUID       string `json:"uuid,omitempty"`
}

// newUser is nil if nothing is known of anybody.
func newUser(p destination.Payload) *user {
	var u user
	if c := p.Customer; c != nil {
		u.Email, u.Phone, u.ExternalID = destination.Hashed(email(c.Email)), destination.Hashed(c.Phone), destination.Hashed(c.ID)
	}
	if b := p.Client; b != nil {
		u.IP, u.UserAgent, u.UUID = destination.Hashed(b.IP), b.UserAgent, b.RDTUUID
	}
	if u == (user{}) {
		return nil
	}
	return &u
}

// isSomebody tells whether there is a key by which Reddit can find a person; a user agent alone is none.
func (u *user) isSomebody() bool {
	return u != nil && (u.Email != "" || u.Phone != "" || u.ExternalID != "" || u.IP != "" || u.UUID != "")
}

// email is Reddit's canonical form: small letters, and before the @ nothing from a + on, and letters and digits
// alone. It is empty if nothing is left there.
func email(address string) string {
	local, domain, _ := strings.Cut(destination.Lower(address), "@")
	local, _, _ = strings.Cut(local, "+")
	local = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, local)
	if local == "" || domain == "" {
		return ""
	}
	return local + "@" + domain
}
