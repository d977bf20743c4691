package erasure

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// longestReference is what certificates and lists have room for.
const longestReference = 100

// CheckReference refuses a reference that would keep what has to go, or that has no room. The error goes
// on where the word reference stands.
func (q SubjectRequest) CheckReference() error {
	switch {
	case utf8.RuneCountInString(q.Reference) > longestReference || strings.ContainsFunc(q.Reference, isControl):
		return fmt.Errorf("must be one line of %d characters at most", longestReference)
	case strings.Contains(q.Reference, "@") || names(q.Reference, q.Subject.CustomerID):
		return errors.New("names the person, and it is kept: use a ticket's number")
	}
	return nil
}

// names tells whether the reference holds the customer's id. A short one may stand in it by chance.
func names(reference, id string) bool {
	const chance = 5
	reference, id = strings.ToLower(reference), strings.ToLower(id)
	return id != "" && (reference == id || len(id) > chance && strings.Contains(reference, id))
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
