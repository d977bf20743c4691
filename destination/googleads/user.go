package googleads

import (
	"strings"
	"unicode"

	"kvit/destination"
)

// userData is who bought, in the form of https://developers.google.com/data-manager/api/devguides/concepts/formatting:
// hashes are SHA-256 in hexadecimal digits.
type userData struct {
	Identifiers []identifier `json:"userIdentifiers"`
}

// identifier has one member.
type identifier struct {
	Email   string   `json:"emailAddress,omitempty"`
	Phone   string   `json:"phoneNumber,omitempty"`
	Address *address `json:"address,omitempty"`
}

// address has all members: each is required.
type address struct {
	GivenName  string `json:"givenName"`  // a hash
	FamilyName string `json:"familyName"` // a hash
	Region     string `json:"regionCode"` // ISO 3166-1
	PostalCode string `json:"postalCode"`
}

// newUserData is nil if nothing is known by which Google could find somebody.
func newUserData(customer *destination.Customer) *userData {
	if customer == nil {
		return nil
	}
	var u userData
	if email := normalEmail(customer.Email); email != "" {
		u.Identifiers = append(u.Identifiers, identifier{Email: destination.SHA256Hex(email)})
	}
	if customer.Phone != "" { // E.164
		u.Identifiers = append(u.Identifiers, identifier{Phone: destination.SHA256Hex(customer.Phone)})
	}
	if a := addressOf(customer); a != nil {
		u.Identifiers = append(u.Identifiers, identifier{Address: a})
	}
	if u.Identifiers == nil {
		return nil
	}
	return &u
}

func addressOf(customer *destination.Customer) *address {
	given, family := normalName(customer.FirstName), normalName(customer.LastName)
	if given == "" || family == "" || customer.Address == nil {
		return nil
	}
	code := destination.PostalCode(customer.Address)
	if code == "" || customer.Address.Country == "" {
		return nil
	}
	return &address{
		GivenName: destination.SHA256Hex(given), FamilyName: destination.SHA256Hex(family),
		Region: customer.Address.Country, PostalCode: code,
	}
}

// normalEmail is without the dots and what follows a + where Gmail does not look at them; nothing of an address there
// that has no more than these.
func normalEmail(email string) string {
	email = destination.Lower(email)
	local, domain, _ := strings.Cut(email, "@")
	if domain != "gmail.com" && domain != "googlemail.com" {
		return email
	}
	local, _, _ = strings.Cut(local, "+")
	if local = strings.ReplaceAll(local, ".", ""); local == "" {
		return ""
	}
	return local + "@" + domain
}

// normalName is in small letters without punctuation, as the description of AddressInfo has it
// (https://github.com/googleapis/google-api-go-client/blob/main/datamanager/v1/datamanager-api.json).
func normalName(name string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPunct(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, destination.Lower(name)))
}
