package shops_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/shops"
	"kvit/store/storetest"
)

func TestMain(m *testing.M) { storetest.Run(m) }

// shop is one that sold, as all tests of it find it.
type shop struct {
	shops.Shop
	db     *pgxpool.Pool
	orders []shops.Order
}

func TestVendure(t *testing.T) {
	shops.Enabled(t)
	t.Parallel()
	db := storetest.Empty(t)
	v := shops.StartVendure(t, db)
	s := shop{Shop: v, db: db, orders: v.Sell(t)}
	s.test(t)
	t.Run("CopiesWithoutKeys", func(t *testing.T) {
		paid := s.one(t, shops.Paid, false)
		require.Contains(t, shops.TakeDump(t, db).Holding(paid.Person.Email), "public.job_record", "the mail to the customer")
	})
	t.Run("Synchronize", func(t *testing.T) {
		before := v.OrderList(t)
		v.Restart(t, true)
		require.Equal(t, before, v.OrderList(t))
	})
}

// TestKvitBesideVendure is the whole of it: kvit set up by its own steps, the shop's orders delivered and, 30 days after the
// ERP had them, erased.
func TestKvitBesideVendure(t *testing.T) {
	shops.Enabled(t)
	t.Parallel()
	db := storetest.Empty(t)
	v := shops.StartVendure(t, db)
	w := beside(t, db, func(o shops.Order) string { return o.Ref })
	s := shop{Shop: v, db: db, orders: v.Sell(t)}
	w.requireEvents(s.orders)

	due, alive := s.parting()
	w.imported(due)
	w.exec(`update public.job_record set "createdAt" = "createdAt" - interval '15 days' where "isSettled"`)
	pages := map[string]string{}
	for _, o := range alive {
		pages[o.ID] = s.OrderPage(t, o)
	}
	t.Log(w.kvit("erase", "--dry-run"))
	t.Log(w.kvit("erase", "--confirm"))
	w.kvit("verify")
	s.requireErased(t, due, alive)
	for _, o := range alive {
		require.Equal(t, pages[o.ID], s.OrderPage(t, o), "%s is as before", o)
	}
	s.OrderList(t)
	s.CustomerList(t)
	for _, o := range due {
		s.OrderPage(t, o)
	}
	s.testLogin(t)
	v.Restart(t, true)
	w.kvit("check")
}

func TestMedusa(t *testing.T) {
	shops.Enabled(t)
	t.Parallel()
	db := storetest.Empty(t)
	m := shops.StartMedusa(t, db)
	s := shop{Shop: m, db: db, orders: m.Sell(t)}
	s.test(t)
	t.Run("CopiesWithoutKeys", func(t *testing.T) {
		dump := shops.TakeDump(t, db)
		guest := s.one(t, shops.Paid, false)
		require.Contains(t, dump.Holding(guest.Person.Email), "public.workflow_execution")
		moved := s.one(t, shops.Changed, false)
		require.Contains(t, dump.Holding(moved.Person.Shipping.Street), "public.order_change_action")
	})
	t.Run("MigrateAgain", func(t *testing.T) {
		before := m.OrderList(t)
		m.Migrate(t)
		require.Equal(t, before, m.OrderList(t))
	})
}

// TestKvitBesideMedusa is as TestKvitBesideVendure.
func TestKvitBesideMedusa(t *testing.T) {
	shops.Enabled(t)
	t.Parallel()
	db := storetest.Empty(t)
	m := shops.StartMedusa(t, db)
	w := beside(t, db, func(o shops.Order) string { return o.ID })
	s := shop{Shop: m, db: db, orders: m.Sell(t)}
	w.requireEvents(s.orders)

	due, alive := s.parting()
	w.imported(due)
	w.exec(`update public.workflow_execution set created_at = created_at - interval '31 days', updated_at = updated_at - interval '31 days'`)
	w.exec(`update public.order_address set updated_at = updated_at - interval '31 days'`)
	pages := map[string]string{}
	for _, o := range alive {
		if o.State != shops.Cart {
			pages[o.ID] = s.OrderPage(t, o)
		}
	}
	t.Log(w.kvit("erase", "--dry-run"))
	t.Log(w.kvit("erase", "--confirm"))
	w.kvit("verify")
	s.requireErased(t, due, alive)
	for id, page := range pages {
		require.Equal(t, unordered(t, page), unordered(t, s.OrderPage(t, shops.Order{ID: id})), "%s is as before", id)
	}
	s.OrderList(t)
	s.CustomerList(t)
	for _, o := range due {
		s.OrderPage(t, o)
	}
	s.testLogin(t)
	m.Migrate(t)
	w.kvit("check")
}

// unordered are the documents of a page with each list sorted, for Medusa asks its database for items in no order.
func unordered(t *testing.T, page string) []any {
	t.Helper()
	var documents []any
	for d := json.NewDecoder(strings.NewReader(page)); d.More(); {
		var document any
		require.NoError(t, d.Decode(&document))
		sortLists(document)
		documents = append(documents, document)
	}
	return documents
}

func sortLists(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, member := range value {
			sortLists(member)
		}
	case []any:
		for _, item := range value {
			sortLists(item)
		}
		slices.SortFunc(value, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
}

// test shows that a shop is what later tests take it for, before kvit has touched it.
func (s shop) test(t *testing.T) {
	t.Run("Orders", s.testOrders)
	t.Run("Amounts", s.testAmounts)
	t.Run("Pages", s.testPages)
	t.Run("Login", s.testLogin)
	t.Run("Dump", s.testDump)
}

// testOrders writes each order into the log, as JSON.
func (s shop) testOrders(t *testing.T) {
	for _, o := range s.orders {
		line, err := json.Marshal(o)
		require.NoError(t, err)
		t.Log(string(line))
	}
	for _, account := range []bool{false, true} {
		for _, state := range []shops.State{
			shops.Cart, shops.Placed, shops.Declined, shops.Paid, shops.Changed,
			shops.Shipped, shops.Delivered, shops.Refunded, shops.Cancelled,
		} {
			s.one(t, state, account)
		}
	}
}

func (s shop) testAmounts(t *testing.T) {
	paid := []shops.State{shops.Paid, shops.Changed, shops.Shipped, shops.Delivered, shops.Refunded, shops.Cancelled}
	for _, o := range s.orders {
		if o.State == shops.Cart {
			continue
		}
		goods := 0
		for _, l := range o.Lines {
			goods += l.Quantity * l.Price
		}
		require.InDelta(t, o.Total, goods+o.Shipping, 3, "but for what Medusa does not round: %s", o)
		require.Equal(t, slices.Contains(paid, o.State), o.Paid >= o.Total, "%s", o)
		require.Equal(t, o.State == shops.Refunded || o.State == shops.Cancelled, o.Refunded > 0, "%s", o)
	}
}

func (s shop) testPages(t *testing.T) {
	list, customers := s.OrderList(t), s.CustomerList(t)
	for _, o := range s.orders {
		require.Contains(t, customers, o.Person.Email, "%s", o)
		if o.Ref == "" {
			continue // a cart that is no order yet
		}
		require.Contains(t, list, o.ID, "%s", o)
		require.Contains(t, list, o.Person.LastName, "%s", o)
		page := s.OrderPage(t, o)
		for _, marker := range append(o.Notes, o.Person.Email, o.Person.Billing.Street, o.Person.Phone) {
			require.Contains(t, page, marker, "%s", o)
		}
	}
}

func (s shop) testLogin(t *testing.T) {
	for _, o := range s.orders {
		if o.State == shops.Placed || o.State == shops.Paid {
			require.Equal(t, o.Person.Account, s.Login(t, o.Person), "%s", o)
		}
	}
}

// testDump shows that a search through a dump finds each person, and nobody by another's values.
func (s shop) testDump(t *testing.T) {
	dump := shops.TakeDump(t, s.db)
	for _, o := range s.orders {
		for _, marker := range o.Markers() {
			require.NotEmpty(t, dump.Holding(marker), "%s of the %s", marker, o)
		}
	}
	require.Empty(t, dump.Holding(shops.NewPerson(len(s.orders), false).LastName))
}

// one is the first order that came so far, of a guest or an account.
func (s shop) one(t *testing.T, state shops.State, account bool) shops.Order {
	t.Helper()
	i := slices.IndexFunc(s.orders, func(o shops.Order) bool { return o.State == state && o.Person.Account == account })
	require.GreaterOrEqual(t, i, 0, "no %s order, account %v", state, account)
	return s.orders[i]
}
