package store

import "strings"

// OrderRef is an order's reference as kvit writes it, wherever one comes in: without blanks around it. The
// function kvit.order_ref is the same in SQL.
func OrderRef(text string) string { return strings.Trim(text, " \t\n\r\f\v") }
