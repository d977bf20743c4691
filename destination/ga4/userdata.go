package ga4

import (
	"strings"
	"unicode"

	"kvit/destination"
)

// userData is the customer in the form of
// https://developers.google.com/analytics/devguides/collection/ga4/uid-data: what is called sha256 is
// the hash of the text in Google's normal form.
type userData struct {
	Email   []string  `json:"sha256_email_address,omitempty"`
	Phone   []string  `json:"sha256_phone_number,omitempty"`
	Address []address `json:"address,omitempty"`
}

type address struct {
	FirstName  string `json:"sha256_first_name"`
	LastName   string `json:"sha256_last_name"`
	Street     string `json:"sha256_street,omitempty"`
	City       string `json:"city,omitempty"`
	Region     string `json:"region,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	Country    string `json:"country,omitempty"`
}

// hashed is nil if there is nothing to say.
func hashed(customer *destination.Customer) *userData {
	u := userData{Email: destination.HashedList(normalEmail(customer.Email)), Phone: destination.HashedList(normalPhone(customer.Phone))}
	if a, ok := hashedAddress(customer); ok {
		u.Address = []address{a}
	}
	if u.Email == nil && u.Phone == nil && u.Address == nil {
		return nil
	}
	return &u
}

// hashedAddress needs both names: a town alone says nothing about a person that Google could match.
func hashedAddress(customer *destination.Customer) (address, bool) {
	first, last := normalName(customer.FirstName), normalName(customer.LastName)
	if first == "" || last == "" || customer.Address == nil {
		return address{}, false
	}
	from := customer.Address
	a := address{
		FirstName: destination.SHA256Hex(first), LastName: destination.SHA256Hex(last),
		Street: destination.Hashed(normalStreet(strings.Join(from.Lines, " "))),
		City:   place(normalName(from.City)), Region: place(normalName(from.Region)),
		PostalCode: place(withoutDots.Replace(destination.PostalCode(from))), Country: from.Country,
	}
	return a, true
}

// withoutDots drops what Google drops from postal codes.
var withoutDots = strings.NewReplacer(".", "", "~", "")

// place is not hashed.
func place(text string) string { return destination.Cut(strings.TrimSpace(text), 100) }

func normalEmail(email string) string {
	email = destination.Lower(email)
	local, domain, _ := strings.Cut(email, "@")
	if domain == "gmail.com" || domain == "googlemail.com" {
		local, _, _ = strings.Cut(local, "+")
		return strings.ReplaceAll(local, ".", "") + "@" + domain
	}
	return email
}

func normalPhone(phone string) string {
	digits := strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, phone)
	if digits == "" {
		return ""
	}
	return "+" + digits
}

// normalName keeps letters with their marks, and the blanks between them.
func normalName(name string) string {
	return normal(name, unicode.IsNumber)
}

// normalStreet keeps numbers, too.
func normalStreet(street string) string {
	return normal(street, func(rune) bool { return false })
}

func normal(text string, drop func(rune) bool) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPunct(r) || unicode.IsSymbol(r) || unicode.IsControl(r) || drop(r) {
			return -1
		}
		return r
	}, destination.Lower(text)))
}
