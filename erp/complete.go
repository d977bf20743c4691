package erp

import (
	"fmt"
	"math/big"
)

// Check is what a document of a source is compared by with the order, before it is evidence. The zero Check compares nothing.
type Check struct {
	Lines     bool
	Total     bool
	Tolerance string // a decimal: what totals may differ by, for rounding; empty: nothing
}

// What is wrong with evidence, for Verdict.Detail. What cannot be compared is not complete.
const (
	linesUntold      = "the ERP tells no number of lines: it cannot be compared"
	orderWithoutLine = "the shop tells no number of lines of the order: it cannot be compared"
	totalUntold      = "the ERP tells no total: it cannot be compared"
	orderNoTotal     = "the shop tells no total of the order: it cannot be compared"
	totalsDiffer     = "the total in the ERP is not that of the order"
)

// problem says why evidence does not show that the whole order is in the ERP; empty: it does.
func (c Check) problem(r Receipt, o Order) string {
	if c.Lines {
		switch {
		case r.Lines <= 0:
			return linesUntold
		case o.Lines == nil:
			return orderWithoutLine
		case *o.Lines != r.Lines:
			return fmt.Sprintf("the ERP has %d lines, and the order %d", r.Lines, *o.Lines)
		}
	}
	if c.Total {
		return c.totalProblem(r.Total, o.Total)
	}
	return ""
}

// Problem says why a document does not show that the whole order is in the ERP; empty: it does.
func (c Check) Problem(d Document, o Order) string {
	return c.problem(Receipt{Lines: d.Lines, Total: d.Total}, o)
}

func (c Check) totalProblem(there, here string) string {
	told, ok := new(big.Rat).SetString(there)
	if !ok {
		return totalUntold
	}
	wanted, ok := new(big.Rat).SetString(here)
	if !ok {
		return orderNoTotal
	}
	tolerance, ok := new(big.Rat).SetString(c.Tolerance)
	if !ok {
		tolerance = new(big.Rat)
	}
	if difference := told.Sub(told, wanted); difference.Abs(difference).Cmp(tolerance) > 0 {
		return totalsDiffer
	}
	return ""
}
