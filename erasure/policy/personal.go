package policy

import "slices"

// Telling is how much the name of a column, or of a member of a document, gives away about its values.
type Telling int

// The degrees of Telling.
const (
	TellsNothing    Telling = iota // by the name alone, it may be anything
	TellsSomething                 // a city, a date, a way to pay: many people have the same
	TellsWhoSomeone                // a name, an e-mail address, a telephone number, a street
)

// identifying are the meanings whose values belong to one person, or few.
var identifying = []string{
	anEmail, "a telephone number", "a tax or personal number", "a bank account or card", "a name of a person or company",
	"what the customer wrote", "an address", "a name",
}

// places are words of an address that many people share.
var places = []string{
	"city", "town", "ort", "stad", "ville", "poststed", "bynavn", "postort", "province", "county", "region", "state", "country", "land",
	"latitude", "longitude", "lat", "lng", "lon", "coordinates", "geo", "floor", "etage", "type",
}

// Tells looks at the last name of a path as in "checkout.company".
func Tells(name string) Telling {
	m, ok := meaningOf(name)
	switch {
	case hasAny(wordsOf(name), places), slices.Equal(wordsOf(name), []string{"by"}):
		return TellsSomething
	case !ok:
		return TellsNothing
	case slices.Contains(identifying, m.is):
		return TellsWhoSomeone
	}
	return TellsSomething
}
