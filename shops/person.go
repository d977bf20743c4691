package shops

import (
	"fmt"
	"hash/fnv"
)

// password is what all accounts have; it stands in no database.
const password = "Correct-horse-9"

// Person is somebody who orders. Each value is found for nobody else, so that a search for it through a
// whole database tells whether something of this person is left.
type Person struct {
	Account   bool // registered, with a password; else a guest
	FirstName string
	LastName  string
	Email     string
	Phone     string
	Shipping  Address
	Billing   Address
}

// Address is where a person lives or has the bill sent.
type Address struct {
	Street string
	City   string
	Postal string // common to many, and so no marker
}

// NewPerson makes the n-th person of a shop; the same number gives the same person again.
func NewPerson(n int, account bool) Person {
	word := syllables(n)
	return Person{
		Account:   account,
		FirstName: "Fi" + word,
		LastName:  "La" + word,
		Email:     "mail." + word + "@buyer.example",
		Phone:     fmt.Sprintf("+4599%06d", 100_003+n*7_919%899_981),
		Shipping:  Address{Street: "Ship" + word + " Street 7", City: "Shipcity" + word, Postal: "2100"},
		Billing:   Address{Street: "Bill" + word + " Road 8", City: "Billcity" + word, Postal: "8000"},
	}
}

// Markers are the person's values that a search finds for nobody else.
func (p Person) Markers() []string {
	return []string{
		p.FirstName, p.LastName, p.Email, p.Phone,
		p.Shipping.Street, p.Shipping.City, p.Billing.Street, p.Billing.City,
	}
}

// moved is the address that the staff gives an order later.
func (p Person) moved() Address {
	a := p.Shipping
	a.Street = "New " + a.Street
	return a
}

// syllables writes a number as a word of its own. The number's place in it keeps any two apart; what is
// around it keeps one word from being the beginning of another.
func syllables(n int) string {
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	h := fnv.New32a()
	fmt.Fprintf(h, "%d", n)
	word, rest := "", h.Sum32()
	for range 3 {
		word += string(consonants[rest%14]) + string(vowels[rest/14%5])
		rest /= 70
	}
	for range 3 {
		word += string(consonants[n%14])
		n /= 14
	}
	return word + "x"
}
