// Package erp judges evidence that an order is in the ERP, whatever system or person brought it.
//
// A false "imported" destroys the personal data of an order that nobody has; a missed one keeps it
// for ever. So evidence counts only for the exact order reference, the first one counts for good,
// and nothing that the ERP no longer shows takes it back.
package erp

import "time"

// What became of a piece of evidence, the closed list that kvit.erp_receipt uses.
const (
	Marked        = "marked"         // the order has its import time and ERP number from this
	AlreadyMarked = "already_marked" // another one came first and says the same
	UnknownOrder  = "unknown_order"  // the shop has no such order (yet)
	Conflict      = "conflict"       // the order is marked with a different ERP number
	Ignored       = "ignored"        // no evidence of an import, a quote for instance
)

// Receipt is one piece of evidence.
type Receipt struct {
	ID           int64
	OrderRef     string
	ERPNumber    string     // empty: the evidence has none
	DocumentKind string     // order, invoice, shipment or quote
	ImportedAt   *time.Time // as the ERP tells; nil: it does not
	SeenAt       time.Time
}

// Order is what the shop knows of an order.
type Order struct {
	PlacedAt  *time.Time
	Imported  bool
	ERPNumber string
}

// Mark is what an order gets.
type Mark struct {
	OrderRef   string
	ImportedAt time.Time
	ERPNumber  string
}

// Verdict is what became of one receipt.
type Verdict struct {
	ReceiptID int64
	Status    string
	Detail    string
}

// Judge goes through the receipts in their order and says what each is worth: at most one mark an
// order. orders holds those that the shop has, by reference; it is not changed.
func Judge(receipts []Receipt, orders map[string]Order) ([]Mark, []Verdict) {
	var marks []Mark
	verdicts := make([]Verdict, 0, len(receipts))
	known := make(map[string]Order, len(orders))
	for ref, order := range orders {
		known[ref] = order
	}
	for _, r := range receipts {
		order, exists := known[r.OrderRef]
		status, detail := judge(r, order, exists)
		if status == Marked {
			at, doubt := importTime(r, order)
			detail = doubt
			marks = append(marks, Mark{OrderRef: r.OrderRef, ImportedAt: at, ERPNumber: r.ERPNumber})
			known[r.OrderRef] = Order{PlacedAt: order.PlacedAt, Imported: true, ERPNumber: r.ERPNumber}
		}
		verdicts = append(verdicts, Verdict{ReceiptID: r.ID, Status: status, Detail: detail})
	}
	return marks, verdicts
}

func judge(r Receipt, order Order, exists bool) (status, detail string) {
	switch r.DocumentKind {
	case "order", "invoice", "shipment":
	case "quote":
		return Ignored, "a quote is no evidence of an import"
	default:
		return Ignored, "document_kind is not order, invoice, shipment or quote"
	}
	switch {
	case !exists:
		return UnknownOrder, "the orders table has no such reference; looked up again for a day"
	case !order.Imported:
		return Marked, ""
	case r.DocumentKind != "order" || r.ERPNumber == "" || order.ERPNumber == "" || r.ERPNumber == order.ERPNumber:
		// Invoices and shipments have numbers of their own, so these cannot contradict.
		return AlreadyMarked, ""
	default:
		return Conflict, "the order is marked with another ERP number"
	}
}

// importTime is the ERP's own time if it can be true, else that of the sighting: a wrong one would
// erase an order too early, or never.
func importTime(r Receipt, order Order) (at time.Time, doubt string) {
	switch {
	case r.ImportedAt == nil:
		return r.SeenAt, ""
	case r.ImportedAt.After(r.SeenAt):
		return r.SeenAt, "imported_at is in the future; the time of sighting counts"
	case order.PlacedAt != nil && r.ImportedAt.Before(*order.PlacedAt):
		return r.SeenAt, "imported_at is before the order was placed; the time of sighting counts"
	default:
		return *r.ImportedAt, ""
	}
}
