package erp

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Matcher compares references as an ERP has them with those of the shop's orders: whole, behind the configured
// prefix, without regard to case or blanks around them. Nothing else ever makes a document belong to an order.
type Matcher struct {
	Prefix    string // required before the order's reference; empty: none
	MaxLength int    // of the ERP's field, in characters; 0: not known
}

// Spell is an order's reference as the ERP should have it. It is false of one that fills the field or does not fit: what
// the ERP has instead may have been cut, and two orders may have the same beginning.
func (m Matcher) Spell(orderRef string) (ref string, fits bool) {
	ref = m.Prefix + orderRef
	return ref, orderRef != "" && !m.mayBeCut(ref)
}

// Strip is the folded reference of the order that a value of the ERP's names; false if it names none: the prefix is
// missing, nothing is behind it, or it fills the field and may have been cut.
func (m Matcher) Strip(value string) (folded string, ok bool) {
	value = strings.TrimSpace(value)
	if m.mayBeCut(value) {
		return "", false
	}
	folded, ok = strings.CutPrefix(Fold(value), Fold(m.Prefix))
	return folded, ok && folded != ""
}

func (m Matcher) mayBeCut(value string) bool {
	return m.MaxLength > 0 && utf8.RuneCountInString(value) >= m.MaxLength
}

// Fold is a reference without blanks around it and in upper case, for comparison. Letters whose upper case is also that
// of another letter, such as the dotless i, stay as they are.
func Fold(ref string) string {
	return strings.Map(func(r rune) rune {
		upper := unicode.ToUpper(r)
		if unicode.ToLower(upper) != unicode.ToLower(r) {
			return r
		}
		return upper
	}, strings.TrimSpace(ref))
}

// Evidence tells whether a document shows that an order is in the ERP, and what it tells of it: an invoice or a
// shipment that names its order tells the order's number.
func (d Document) Evidence() (kind, number string, ok bool) {
	switch d.Kind {
	case OrderDocument:
		return d.Kind, strings.TrimSpace(d.Number), true
	case InvoiceDocument, ShipmentDocument:
		if number := strings.TrimSpace(d.OrderNumber); number != "" {
			return OrderDocument, number, true
		}
		return d.Kind, strings.TrimSpace(d.Number), true
	default:
		return "", "", false
	}
}
