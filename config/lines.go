package config

// OrderLines says where the lines of orders are (key "shop.orders.lines").
type OrderLines struct {
	Table string  // schema.table
	Match []Match // its columns that equal columns of the orders table; one at least
	Where string  // SQL predicate over its columns: lines that the ERP has, too; default true
}

func readLines(orders *Section) *OrderLines {
	if !orders.Has("lines") {
		return nil
	}
	s := orders.Section("lines")
	defer s.Finish()
	l := &OrderLines{Table: qualified(s.RequiredText("table", tableName)), Where: s.Text("where", "true")}
	l.Match = requiredMatch(s)
	return l
}
