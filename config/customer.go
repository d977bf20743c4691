package config

// OrderCustomer says where an order's customer stands if that is another table (key "shop.orders.customer").
type OrderCustomer struct {
	Table string  // schema.table; not the orders table
	Match []Match // Column of it holds OrderColumn of the orders table; all must be equal, and there is one at least
	Email string  // column with the e-mail address; empty: there is none
	ID    string  // column with the customer's id; empty: there is none
}

// readCustomer reads what shop.orders.email and customer_id say where the columns are the orders table's own.
func readCustomer(orders *Section) *OrderCustomer {
	if !orders.Has("customer") {
		return nil
	}
	s := orders.Section("customer")
	defer s.Finish()
	c := &OrderCustomer{
		Table: qualified(s.RequiredText("table", tableName)),
		Email: s.Text("email", "", identifier),
		ID:    s.Text("id", "", identifier),
	}
	c.Match = requiredMatch(s)
	if text, _ := plainText(orders.entries["table"].value); text != "" && qualified(text) == c.Table {
		s.Problem("table", "is the orders table: name its columns as shop.orders.email and customer_id")
	}
	if !s.Has("email") && !s.Has("id") && !s.broken {
		orders.Problem("customer", "names neither email nor id: it would be of no use")
	}
	for own, joined := range map[string]string{"email": "email", "customer_id": "id"} {
		if orders.Has(own) && s.Has(joined) {
			s.Problem(joined, "is given as shop.orders."+own+" already: one of them can be it")
		}
	}
	return c
}
