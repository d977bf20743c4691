package destination

import (
	"slices"
	"strings"
)

// Omission is a known member of a payload that was left out, since what the shop wrote there cannot be
// read. It holds names of members only, never values.
type Omission struct {
	Member string // such as "customer.phone", or "order.items.quantity", whichever line it was in
	Place  string // such as "customer.phone", or "order.items[2].quantity" for the first such line
	Why    string // such as "no phone number"
}

// Omissions are what was left out of a payload, each Member once.
type Omissions []Omission

// Note is how a receipt tells of them: "without customer.phone: no phone number; without client.ip: no IP
// address". It is empty if nothing was left out.
func (list Omissions) Note() string {
	parts := make([]string, len(list))
	for i, o := range list {
		parts[i] = "without " + o.Place + ": " + o.Why
	}
	return strings.Join(parts, "; ")
}

// saleMembers are those without which nothing can be said of a sale.
var saleMembers = []string{"order", "order.total", "order.currency"}

// UnreadSale rejects an order whose total or currency the shop wrote in a way that cannot be read, for
// providers that would take the order without them: a sale of nothing, or in some other currency, is worse
// than one that an operator hears of. It is nil for events that are not about what was paid.
func (e Event) UnreadSale() *Error {
	if !slices.Contains([]string{"order_placed", "order_paid", "order_refunded", "order_partly_refunded"}, e.Name) {
		return nil
	}
	for _, o := range e.Payload.Omitted {
		if slices.Contains(saleMembers, o.Member) {
			return Reject("%s: %s", o.Place, o.Why)
		}
	}
	return nil
}
