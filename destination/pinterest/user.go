package pinterest

import (
	"strings"
	"unicode"

	"kvit/destination"
)

// userData is who did it. The lists hold SHA-256 as 64 hexadecimal digits, of texts in the form that
// the schema describes; what has not that form is left out, since its hash would match nobody.
type userData struct {
	Email      []string `json:"em,omitempty"`
	Phone      []string `json:"ph,omitempty"`
	Gender     []string `json:"ge,omitempty"`
	Birthday   []string `json:"db,omitempty"`
	LastName   []string `json:"ln,omitempty"`
	FirstName  []string `json:"fn,omitempty"`
	City       []string `json:"ct,omitempty"`
	State      []string `json:"st,omitempty"`
	Zip        []string `json:"zp,omitempty"`
	Country    []string `json:"country,omitempty"`
	ExternalID []string `json:"external_id,omitempty"`
	IP         string   `json:"client_ip_address,omitempty"`
	UserAgent  string   `json:"client_user_agent,omitempty"`
	ClickID    string   `json:"click_id,omitempty"`
}

func newUserData(p destination.Payload) (userData, *destination.Error) {
	var u userData
	if p.Customer != nil {
		u.customer(*p.Customer)
	}
	if p.Client != nil {
		u.IP, u.UserAgent, u.ClickID = p.Client.IP, p.Client.UserAgent, p.Client.Epik
	}
	if u.Email == nil && (u.IP == "" || u.UserAgent == "") {
		return userData{}, destination.Reject("customer.email: is required, unless there are client.ip and client.user_agent")
	}
	return u, nil
}

func (u *userData) customer(c destination.Customer) {
	u.Email = destination.HashedList(lower(c.Email))
	u.Phone = destination.HashedList(strings.TrimLeft(only(c.Phone, unicode.IsDigit), "0"))
	u.Gender = destination.HashedList(gender(c.Gender))
	u.Birthday = destination.HashedList(strings.ReplaceAll(c.Birthday, "-", ""))
	u.LastName, u.FirstName = destination.HashedList(lower(c.LastName)), destination.HashedList(lower(c.FirstName))
	u.ExternalID = destination.HashedList(c.ID)
	if c.Address == nil {
		return
	}
	u.City = destination.HashedList(only(lower(c.Address.City), isNeitherSpaceNorPunctuation))
	u.State = destination.HashedList(twoLetters(lower(c.Address.Region)))
	u.Zip = destination.HashedList(zip(destination.PostalCode(c.Address)))
	u.Country = destination.HashedList(lower(c.Address.Country))
}

func lower(text string) string { return destination.Lower(text) }

// only keeps the characters that are good.
func only(text string, good func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if good(r) {
			return r
		}
		return -1
	}, text)
}

func isNeitherSpaceNorPunctuation(r rune) bool { return !unicode.IsSpace(r) && !unicode.IsPunct(r) }

// gender is empty for words that kvit does not know.
func gender(text string) string {
	switch lower(text) {
	case "f", "female":
		return "f"
	case "m", "male":
		return "m"
	case "n", "non-binary", "nonbinary":
		return "n"
	default:
		return ""
	}
}

// zip is empty for a code with letters: Pinterest hashes digits only, and those of SW1A 1AA are of
// many other places.
func zip(code string) string {
	if digits := only(code, isNeitherSpaceNorPunctuation); isDigits(digits) {
		return digits
	}
	return ""
}

// twoLetters is the code, empty if it is no two letters of ASCII.
func twoLetters(code string) string {
	if len(code) == 2 && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz") == "" {
		return code
	}
	return ""
}

// language is da for da-DK.
func language(tag string) string {
	code, _, _ := strings.Cut(strings.ReplaceAll(lower(tag), "_", "-"), "-")
	return twoLetters(code)
}
