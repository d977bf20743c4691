package meta

import (
	"regexp"
	"strings"
	"unicode"

	"kvit/destination"
)

// userData says who it was: hashes, but for what the browser told.
type userData struct {
	Email      []string `json:"em,omitempty"`
	Phone      []string `json:"ph,omitempty"`
	FirstName  []string `json:"fn,omitempty"`
	LastName   []string `json:"ln,omitempty"`
	Gender     []string `json:"ge,omitempty"`
	Birthday   []string `json:"db,omitempty"`
	City       []string `json:"ct,omitempty"`
	Region     []string `json:"st,omitempty"`
	PostalCode []string `json:"zp,omitempty"`
	Country    []string `json:"country,omitempty"`
	ExternalID []string `json:"external_id,omitempty"`
	IP         string   `json:"client_ip_address,omitempty"`
	UserAgent  string   `json:"client_user_agent,omitempty"`
	FBP        string   `json:"fbp,omitempty"`
	FBC        string   `json:"fbc,omitempty"`
}

func userOf(payload destination.Payload) (userData, *destination.Error) {
	var u userData
	u.customer(payload.Customer)
	u.browser(payload.Client)
	if !u.usable() {
		return userData{}, destination.Reject("customer.email: is required, or customer.phone, customer.id, client.fbp, client.fbc or client.ip")
	}
	return u, nil
}

// usable tells whether Meta can find a person. Names and places alone are refused since v13 of the API.
func (u *userData) usable() bool {
	return u.Email != nil || u.Phone != nil || u.ExternalID != nil || u.FBP != "" || u.FBC != "" || u.IP != ""
}

func (u *userData) customer(c *destination.Customer) {
	if c == nil {
		return
	}
	u.Email, u.Phone = hashed(email(c.Email)), hashed(phone(c.Phone))
	u.FirstName, u.LastName = hashed(trimmed(c.FirstName)), hashed(trimmed(c.LastName))
	u.Gender, u.Birthday = hashed(gender(c.Gender)), hashed(birthday(c.Birthday))
	// As it stands: whoever gives it to the browser's pixel too needs to get at the same hash.
	u.ExternalID = destination.HashedList(c.ID)
	if a := c.Address; a != nil {
		u.City, u.Region = hashed(place(a.City)), hashed(place(a.Region))
		u.PostalCode, u.Country = hashed(postalCode(a)), hashed(country(a.Country))
	}
}

// cookie is the form of _fbp and _fbc: fb.<subdomain index>.<ms>.<the rest>.
var cookie = regexp.MustCompile(`^fb\.[0-9]\.[0-9]{1,20}\.[^\s]+$`)

func (u *userData) browser(b *destination.Browser) {
	if b == nil {
		return
	}
	u.IP, u.UserAgent = b.IP, b.UserAgent
	if cookie.MatchString(b.FBP) {
		u.FBP = b.FBP
	}
	if cookie.MatchString(b.FBC) {
		u.FBC = b.FBC
	}
}

// What follows are the rules of Meta's own SDK (facebook-python-business-sdk,
// facebook_business/adobjects/serverside/normalize.py); an empty result is a value that is left out.

var hash = regexp.MustCompile(`^(?:[0-9a-f]{32}|[0-9a-f]{64})$`)

// hashed hashes a normalised value, unless the shop has done so itself.
func hashed(normal string) []string {
	if hash.MatchString(normal) {
		return []string{normal}
	}
	return destination.HashedList(normal)
}

func trimmed(text string) string { return destination.Lower(text) }

var emails = regexp.MustCompile(`.+@.+\..+`)

func email(text string) string {
	if text = trimmed(text); emails.MatchString(text) {
		return text
	}
	return ""
}

// phone is the country code and the number, digits only.
func phone(text string) string {
	text = without(text, "-()")
	text = strings.TrimPrefix(text, "+")
	text = strings.TrimPrefix(strings.TrimPrefix(text, "0"), "0")
	if strings.HasPrefix(text, "0") || strings.Trim(text, "0123456789") != "" {
		return ""
	}
	return text
}

func place(text string) string { return without(trimmed(text), "0123456789.-()") }

// postalCode keeps what is before a hyphen, as Meta's SDK does for the United States. The codes of other countries
// have none in Meta's form, as its page says.
func postalCode(a *destination.Address) string {
	code := without(trimmed(destination.PostalCode(a)), "")
	if a.Country != "" && a.Country != "US" {
		return strings.ReplaceAll(code, "-", "")
	}
	code, _, _ = strings.Cut(code, "-")
	return code
}

func country(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, trimmed(text))
	if len(text) != 2 {
		return ""
	}
	return text
}

// birthday turns YYYY-MM-DD into YYYYMMDD.
func birthday(text string) string { return strings.ReplaceAll(text, "-", "") }

func gender(text string) string {
	switch trimmed(text) {
	case "f", "female":
		return "f"
	case "m", "male":
		return "m"
	default:
		return ""
	}
}

// without removes white space and some characters more.
func without(text, characters string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune(characters, r) {
			return -1
		}
		return r
	}, text)
}
