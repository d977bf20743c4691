package demo

import (
	"fmt"
	"math/rand/v2"
	"regexp"
)

// person is somebody invented. Name, addresses, phone and cookie hold the person's own number, so that
// whoever is left somewhere can be found there; see traces.
type person struct {
	number    int
	firstName string
	city      city
	group     string
}

type city struct{ postalCode, name string }

var (
	firstNames = []string{"Anna", "Bo", "Clara", "David", "Eva", "Frida", "Georg", "Hanna", "Ida", "Jonas", "Karla", "Lars"}
	cities     = []city{{"1000", "Exampletown"}, {"5000", "Sampleby"}, {"8000", "Testhaven"}}
	groups     = []string{"private", "club", "business"}
)

func newPerson(rng *rand.Rand, number int) person {
	return person{number: number, firstName: pick(rng, firstNames), city: pick(rng, cities), group: pick(rng, groups)}
}

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

func (p person) lastName() string { return fmt.Sprintf("Example-%05d", p.number) }
func (p person) name() string     { return p.firstName + " " + p.lastName() }
func (p person) email() string    { return fmt.Sprintf("buyer.%05d@example.com", p.number) }
func (p person) phone() string    { return fmt.Sprintf("+45555%05d", p.number) }
func (p person) street() string   { return fmt.Sprintf("Example Street %05d", p.number) }
func (p person) cookie() string   { return fmt.Sprintf("cookie-%05d", p.number) }

func (p person) address() string {
	return p.street() + ", " + p.city.postalCode + " " + p.city.name
}

// The browser's ids, in the forms that their makers document.
func (p person) clientID() string  { return fmt.Sprintf("20240229%05d.1700000000", p.number) } // Google's
func (p person) browserID() string { return fmt.Sprintf("fb.1.1741082000000.%05d", p.number) }
func (p person) visitorID() string { return fmt.Sprintf("0123456789a%05d", p.number) } // Matomo's, 16 hexadecimal digits
func (p person) userID() string    { return fmt.Sprintf("b1dcbc5e-0f3a-4f8a-9d8e-0a8f9b3%05d", p.number) }

// ip is of a range for documentation: https://www.rfc-editor.org/rfc/rfc5737
func (p person) ip() string { return fmt.Sprintf("203.0.113.%d", p.number%256) }

// traces finds what belongs to a person in any text; a group holds the number.
var traces = regexp.MustCompile(`(?:Example-|buyer\.|\+45555|Example Street |cookie-|20240229|fb\.1\.1741082000000\.|0123456789a|-0a8f9b3)(\d{5})`)
