// Package erp judges evidence that an order is in the ERP, whatever system or person brought it.
//
// A false "imported" destroys the personal data of an order that nobody has; a missed one keeps it
// for ever. So evidence counts only for the exact order reference, the first one counts for good,
// and nothing that the ERP no longer shows takes it back.
package erp

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// What became of a piece of evidence, the closed list that kvit.erp_receipt uses.
const (
	Marked        = "marked"         // the order has its import time from this
	AlreadyMarked = "already_marked" // another one came first and says the same
	UnknownOrder  = "unknown_order"  // the shop has no such order (yet)
	Conflict      = "conflict"       // the same source has told another number of the same kind of document
	Ignored       = "ignored"        // no evidence of an import, a quote for instance
	Incomplete    = "incomplete"     // it does not show that the whole order is there, and its source has to
)

// Receipt is one piece of evidence.
type Receipt struct {
	ID           int64
	OrderRef     string
	ERPNumber    string     // of the document, without blanks around it; empty: the evidence has none
	DocumentKind string     // order, invoice, shipment or quote
	Source       string     // who says so
	ImportedAt   *time.Time // as the ERP tells; nil: it does not
	SeenAt       time.Time

	// From evidence of the order that was judged before: the first number that the same source has told in this kind
	// of document, and whether the number on the order was told by another source or in another kind.
	FirstNumber string
	Explained   bool

	Lines int    // of the document; 0: not known
	Total string // a decimal; empty: not known
	Check Check  // of its source
}

// Order is what the shop knows of an order.
type Order struct {
	PlacedAt  *time.Time
	Imported  bool
	ERPNumber string

	// For the check of completeness.
	Lines *int   // nil: not known
	Total string // a decimal; empty: not known

	// Confirmed is the newest piece of evidence that a person has confirmed although it is incomplete; 0: none.
	Confirmed   int64
	ConfirmedAt time.Time
}

// Mark is what an order gets.
type Mark struct {
	OrderRef   string
	ImportedAt time.Time // zero: it has one
	ERPNumber  string    // of the order in the ERP; empty: not known yet
}

// Verdict is what became of one receipt.
type Verdict struct {
	ReceiptID int64
	Status    string
	Detail    string
}

// Judge goes through the receipts in their order and says what each is worth: at most one mark an order. orders holds
// those that the shop has, by reference; it is not changed.
//
// The first evidence marks the order, whatever kind of document it is. The number on the order is that of an order's
// document alone, and the first one stays: invoices and shipments have numbers of their own. One that comes without it does not
// keep a later one from filling it in. So what an order is marked with does not depend on which of its documents came first.
func Judge(receipts []Receipt, orders map[string]Order) ([]Mark, []Verdict) {
	j := judge{orders: maps.Clone(orders), told: map[told]string{}, marks: map[string]*Mark{}}
	verdicts := make([]Verdict, 0, len(receipts))
	for _, r := range receipts {
		status, detail := j.receipt(r)
		verdicts = append(verdicts, Verdict{ReceiptID: r.ID, Status: status, Detail: detail})
	}
	marks := make([]Mark, 0, len(j.marks))
	for _, ref := range slices.Sorted(maps.Keys(j.marks)) {
		marks = append(marks, *j.marks[ref])
	}
	return marks, verdicts
}

// told is who has told a number, of what.
type told struct{ orderRef, source, kind string }

type judge struct {
	orders map[string]Order
	told   map[told]string
	marks  map[string]*Mark
}

func (j *judge) receipt(r Receipt) (status, detail string) {
	switch r.DocumentKind {
	case "order", "invoice", "shipment":
	case "quote":
		return Ignored, "a quote is no evidence of an import"
	default:
		return Ignored, "document_kind is not order, invoice, shipment or quote"
	}
	order, exists := j.orders[r.OrderRef]
	if !exists {
		return UnknownOrder, "the orders table has no such reference; looked up again for a day"
	}
	if order.Imported && j.contradicts(r, order) {
		return Conflict, "another number of the same kind of document was told before"
	}
	if !order.Imported {
		if problem := r.Check.problem(r, order); problem != "" {
			if r.ID > order.Confirmed {
				return Incomplete, problem
			}
			return j.confirmed(r, order)
		}
	}
	if key := (told{r.OrderRef, r.Source, r.DocumentKind}); r.ERPNumber != "" && j.told[key] == "" {
		j.told[key] = r.ERPNumber
	}
	return j.mark(r, order)
}

// confirmed marks an order by incomplete evidence that a person has confirmed, as of then: not before did anybody know that
// the order is in the ERP.
func (j *judge) confirmed(r Receipt, order Order) (status, detail string) {
	if r.ERPNumber != "" {
		j.told[told{r.OrderRef, r.Source, r.DocumentKind}] = r.ERPNumber
	}
	status, _ = j.mark(r, order)
	m := j.marks[r.OrderRef]
	m.ImportedAt = order.ConfirmedAt
	return status, "incomplete, and confirmed by a person"
}

// contradicts tells whether the receipt has another number than the same source has told of the same order in the same kind
// of document. An order may have several invoices and shipments. A number on the order that no evidence has told
// was written by somebody else, and is compared with any.
func (j *judge) contradicts(r Receipt, order Order) bool {
	if r.DocumentKind != "order" || r.ERPNumber == "" {
		return false
	}
	first := cmp.Or(r.FirstNumber, j.told[told{r.OrderRef, r.Source, r.DocumentKind}])
	if first != "" {
		return first != r.ERPNumber
	}
	return order.ERPNumber != "" && order.ERPNumber != r.ERPNumber && !r.Explained && !j.explained(r.OrderRef, order.ERPNumber)
}

// explained tells whether the number on the order was told by evidence of this round.
func (j *judge) explained(ref, number string) bool {
	for by, n := range j.told {
		if by.orderRef == ref && n == number {
			return true
		}
	}
	return false
}

// mark gives the order what it lacks.
func (j *judge) mark(r Receipt, order Order) (status, detail string) {
	number := ""
	if r.DocumentKind == "order" && order.ERPNumber == "" {
		number = r.ERPNumber
	}
	if order.Imported && number == "" {
		return AlreadyMarked, ""
	}
	m := j.marks[r.OrderRef]
	if m == nil {
		m = &Mark{OrderRef: r.OrderRef}
		j.marks[r.OrderRef] = m
	}
	status, detail = AlreadyMarked, "the order had no number yet and has this one now"
	if !order.Imported {
		status = Marked
		m.ImportedAt, detail = importTime(r, order)
	}
	if number != "" {
		m.ERPNumber, order.ERPNumber = number, number
	}
	order.Imported = true
	j.orders[r.OrderRef] = order
	return status, detail
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
