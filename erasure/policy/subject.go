package policy

// Reached is a table whose rows are found through orders.
type Reached struct {
	Table string
	Path  []Link // to the orders table; never empty
}

// Reach lists the tables of the policy that hold rows of orders, whatever becomes of them, in the order
// of the policy and without the orders table. apart are those that nothing ties to an order.
func (p Policy) Reach() (reached []Reached, apart []string) {
	for _, t := range p.Tables {
		if t.Name == p.Orders.Name {
			continue
		}
		if path := p.path(t); path != nil {
			reached = append(reached, Reached{Table: t.Name, Path: path})
		} else {
			apart = append(apart, t.Name)
		}
	}
	return reached, apart
}
