package store

import (
	"cmp"
	"errors"
	"fmt"
)

func (s *eraseStatement) assignments() ([]string, error) {
	var set []string
	for _, w := range s.erasure.Writes {
		value, err := s.value(w)
		if err != nil {
			return nil, err
		}
		if s.ofOrders() && s.erasure.When != "" { // the row itself is written to, for it notes that the order is erased
			value = "case when " + s.written() + " then " + value + " else t." + QuoteColumn(w.Column) + " end"
		}
		set = append(set, QuoteColumn(w.Column)+" = "+value)
	}
	return set, nil
}

// written is true of an order's row that is to be written to.
func (s *eraseStatement) written() string {
	if s.erasure.When == "" {
		return "true"
	}
	return Link{When: s.erasure.When}.when("t")
}

var (
	errNoHashKey = errors.New("no key to hash with")
	errStrategy  = errors.New("unknown strategy")
)

func (s *eraseStatement) value(w Write) (string, error) {
	column := "t." + QuoteColumn(w.Column)
	switch w.Strategy {
	case "null":
		return "null", nil
	case "text":
		return s.args.add(w.Text), nil
	case "generalise":
		return "left(" + column + "::text, " + s.args.add(w.Length) + "::integer)", nil
	case "truncate_date":
		return s.truncated(w, column), nil
	case "hash", "json":
		return s.hashed(w, column)
	default:
		return "", fmt.Errorf("set column %s: %w", w.Column, errStrategy)
	}
}

// truncated does not depend on the session's time zone.
func (s *eraseStatement) truncated(w Write, column string) string {
	unit := s.args.add(w.Unit) + "::text"
	switch w.Type {
	case "timestamp with time zone":
		return "date_trunc(" + unit + ", " + column + ", 'UTC')"
	case "date":
		return "date_trunc(" + unit + ", " + column + "::timestamp)::date"
	default:
		return "date_trunc(" + unit + ", " + column + ")"
	}
}

// hashed writes hashes, or a document that may have some in it. A row of which an order was erased
// before has its hashes already: what looks like one there is left as it is.
func (s *eraseStatement) hashed(w Write, column string) (string, error) {
	if w.Strategy == "json" {
		return s.document(w, column, s.erasedBefore)
	}
	if s.erasure.Key == nil {
		return "", fmt.Errorf("set column %s: %w", w.Column, errNoHashKey)
	}
	inner, outer := s.pads()
	return "kvit.keyed_hash(" + column + "::text, " + inner + ", " + outer + ", " + s.erasedBefore() + ")", nil
}

// erasedBefore is whether the row t may have been.
func (s *eraseStatement) erasedBefore() string {
	if s.again == "" && len(s.erasure.Path) > 0 {
		return anyOf([]string{s.otherOrder(s.erasure.everyPath(), "("+s.done()+")"), s.otherOrder(s.erasure.otherPaths(), "other."+s.refs())})
	}
	return cmp.Or(s.again, "false")
}

func (s *eraseStatement) pads() (inner, outer string) {
	if s.erasure.Key == nil {
		return "null::bytea", "null::bytea"
	}
	return s.args.add(s.erasure.Key.inner) + "::bytea", s.args.add(s.erasure.Key.outer) + "::bytea"
}
