// Package shops puts kvit's tests beside real webshops, installed by npm when the tests run: Vendure 3 and
// Medusa 2, each on a database of its own and driven through its own API. Only _test.go files import it.
//
// The tests that need a shop are skipped unless $KVIT_SHOPS is set; `make test-shops` installs the shops
// and sets it. Everything listens on loopback and ends with its test.
package shops

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// Shop is a running shop, with what its owner and its customers ask of it. All methods fail the test where
// the shop answers with an error.
type Shop interface {
	// Sell has persons visit the shop and its staff handle what they ordered, and returns what came of
	// it: guests and accounts, in every State. Once a shop.
	Sell(t testing.TB) []Order
	// OrderList is the staff's list of all orders, as JSON.
	OrderList(t testing.TB) string
	// OrderPage is all that the staff sees of an order, as JSON: addresses, payments, notes, history.
	OrderPage(t testing.TB, o Order) string
	// CustomerList is the staff's list of all customers, as JSON.
	CustomerList(t testing.TB) string
	// Login reports whether an account can log in with the password that it registered with, and see
	// its own orders.
	Login(t testing.TB, p Person) bool
	// Stop ends the shop's processes. The end of the test does, too.
	Stop()
}

// State is how far an order is, in words that both shops share.
type State string

// What Sell makes, of guests and accounts each.
const (
	Cart      State = "cart"      // open, with the person's name and addresses in it
	Placed    State = "placed"    // payment authorized, not captured
	Declined  State = "declined"  // like Placed, after a first payment was declined
	Paid      State = "paid"      // payment captured
	Changed   State = "changed"   // paid, then given another shipping address by the staff
	Shipped   State = "shipped"   // paid, all of it sent
	Delivered State = "delivered" // paid, sent and received, with notes of the staff
	Refunded  State = "refunded"  // paid, sent, a part of the amount paid back
	Cancelled State = "cancelled" // paid, then cancelled and paid back by the staff
)

// states are all, in the order in which Sell goes through them.
var states = []State{Cart, Placed, Declined, Paid, Changed, Shipped, Delivered, Refunded, Cancelled}

// Order is an order or a cart that somebody made in a shop. Amounts are in minor units (cents, øre), as they
// were when the order was placed.
type Order struct {
	ID       string // the shop's own key, as it stands in its table
	Ref      string // what the customer calls it: Vendure's code, Medusa's display id; empty for a cart of Medusa's
	State    State
	Native   string // the state in the shop's words, such as PaymentSettled
	Person   Person
	Currency string // ISO 4217, upper case
	Total    int    // with tax and shipping
	Tax      int    // within Total
	Shipping int    // with tax, within Total
	Paid     int    // captured in the end
	Refunded int    // paid back in the end
	PlacedAt time.Time
	Lines    []Line
	Notes    []string // what the staff wrote about this order; each names the person
}

// Line is a product in an order.
type Line struct {
	SKU      string
	Name     string
	Quantity int
	Price    int // of one, with tax
}

// Markers are the values in the shop's database that tell this order's person: those of the person, and
// what was written of this order alone.
func (o Order) Markers() []string { return append(o.Person.Markers(), o.Notes...) }

// String names an order in a test's output.
func (o Order) String() string {
	who := "guest"
	if o.Person.Account {
		who = "account"
	}
	return fmt.Sprintf("%s order of a %s (%s, %s)", o.State, who, o.Ref, o.Native)
}

// Enabled skips the test unless real shops were asked for.
func Enabled(t testing.TB) {
	t.Helper()
	if os.Getenv("KVIT_SHOPS") == "" {
		t.Skip("real shops are tested by `make test-shops`")
	}
}

// again are the ways after which the first guest orders once more.
var again = []State{Paid, Delivered}

// sellAll has two guests and an account go each way. Two of the guests order twice; the second order is
// left alone, so that one of the two can be due while the other is not.
func sellAll(t testing.TB, sell func(testing.TB, Person, State) Order) []Order {
	t.Helper()
	var orders []Order
	for i, state := range states {
		for j := range 3 {
			p := NewPerson(3*i+j, j == 2)
			orders = append(orders, sell(t, p, state))
			if j == 0 && slices.Contains(again, state) {
				orders = append(orders, sell(t, p, Placed))
			}
		}
	}
	return orders
}
