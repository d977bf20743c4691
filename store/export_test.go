package store

import "strings"

// OrdersCondition is the condition by which a person's orders are found, with its parameters in it, for EXPLAIN.
func OrdersCondition(o Orders, email, customerID string) string {
	search := &subjectSearch{of: o, subject: Subject{Email: email, CustomerID: customerID}, types: map[[2]string]string{
		{o.Table, o.customerColumn()}: "bigint",
	}}
	condition := search.orders()
	for i, value := range search.args {
		condition = strings.ReplaceAll(condition, "$"+string(rune('1'+i)), "'"+value.(string)+"'")
	}
	return condition
}

// TakeLock is takeLock.
var TakeLock = takeLock
