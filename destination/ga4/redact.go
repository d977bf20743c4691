package ga4

import (
	"context"
	"slices"
	"unicode/utf8"

	"kvit/destination"
)

var _ destination.Redactor = (*GA4)(nil)

// identifier is one thing by which Google may know the person. Each needs a request of its own.
type identifier struct {
	field  string // of the payload that it came from
	member string // of the request
	value  string
}

func (i identifier) body() []byte { return destination.JSON(map[string]string{i.member: i.value}) }

// CanRedact is true if Options.Deletion is set.
func (g *GA4) CanRedact() bool { return g.deleter != nil }

// Redact asks for the deletion of all that Google may know the person by: in one call each the client ids, the
// user id, and with Options.UserData the e-mail address and the phone number. An identifier that Google rejects
// does not keep the others from being tried; any other failure ends the attempt, and the next one begins anew.
func (g *GA4) Redact(ctx context.Context, r destination.Redaction) (int, error) {
	if g.deleter == nil {
		return 0, destination.Reject("deletion: is not configured")
	}
	known := g.identifiers(r)
	if len(known) == 0 {
		return 0, destination.Reject("client.ga_client_id: none is known, nor a customer.id that was sent, so that Google cannot find the person")
	}
	token, failed := g.deleter.token(ctx)
	if failed != nil {
		return failed.Code, failed
	}
	code, failed := g.deleter.submitAll(ctx, token, known)
	if failed != nil {
		return failed.Code, failed
	}
	return code, nil
}

// submitAll returns the first rejection after it has tried all, and any other failure at once.
func (d *deleter) submitAll(ctx context.Context, token string, known []identifier) (code int, rejected *destination.Error) {
	for _, who := range known {
		status, failed := d.submit(ctx, token, who)
		switch {
		case failed == nil:
			code = status
		case failed.Kind != destination.Rejected:
			return status, failed
		case rejected == nil:
			rejected = failed
		}
	}
	return code, rejected
}

// identifiers are those in the form in which events were sent with them.
func (g *GA4) identifiers(r destination.Redaction) []identifier {
	var known []identifier
	add := func(field, member, value string) {
		who := identifier{field, member, value}
		if value != "" && !slices.Contains(known, who) {
			known = append(known, who)
		}
	}
	for _, id := range r.ClientIDs {
		if id = normalClientID(id); utf8.RuneCountInString(id) <= maxClientID {
			add("client.ga_client_id", "clientId", id)
		}
	}
	add("customer.id", "userId", userID(r.CustomerID))
	if g.UserData {
		add("customer.email", "userProvidedData", normalEmail(r.Email))
		add("customer.phone", "userProvidedData", normalPhone(r.Phone))
	}
	return known
}
