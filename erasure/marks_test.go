package erasure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store"
)

// eachMarks runs a test in a shop that has columns for kvit's marks, and in one where kvit keeps them itself.
func eachMarks(t *testing.T, newShop func(*testing.T) *shop, test func(t *testing.T, s *shop)) {
	t.Helper()
	t.Parallel()
	t.Run("Columns", func(t *testing.T) {
		t.Parallel()
		test(t, newShop(t))
	})
	t.Run("OwnMarks", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.keepOwnMarks()
		test(t, s)
	})
}

func plainShop(t *testing.T) *shop { return newShop(t) }

// keepOwnMarks takes the columns for them from the shop, before its first order.
func (s *shop) keepOwnMarks() {
	s.t.Helper()
	s.exec(`alter table public.orders drop column erp_imported_at, drop column erp_order_number, drop column personal_data_erased_at`)
	s.Orders.ImportedAt, s.Orders.ERPNumber, s.Orders.ErasedAt = "", "", ""
}

// imported marks orders, told by a condition, as imported this long ago.
func (s *shop) imported(ago time.Duration, condition string, args ...any) {
	s.t.Helper()
	args = append([]any{ago}, args...)
	if !s.Orders.OwnMarks() {
		s.exec(`update public.orders set erp_imported_at = now() - $1::interval, erp_order_number = 'SO-' || order_number where `+condition, args...)
		return
	}
	s.exec(`
		insert into kvit.order_mark (order_ref, imported_at, erp_number)
		select order_number::text, now() - $1::interval, 'SO-' || order_number from public.orders where `+condition+`
		on conflict (order_ref) do update set imported_at = excluded.imported_at, erp_number = excluded.erp_number`, args...)
}

// notImported takes the marks back.
func (s *shop) notImported(condition string) {
	s.t.Helper()
	if !s.Orders.OwnMarks() {
		s.exec(`update public.orders set erp_imported_at = null, erp_order_number = null where ` + condition)
		return
	}
	s.exec(`update kvit.order_mark set imported_at = null, erp_number = null where order_ref in (select order_number from public.orders where ` + condition + `)`)
}

// mark is an SQL expression for a mark of the order "o".
func (s *shop) mark(name string) string {
	if s.Orders.OwnMarks() {
		return `(select m.` + name + ` from kvit.order_mark m where m.order_ref = o.order_number::text)`
	}
	return map[string]string{"imported_at": "o.erp_imported_at", "erp_number": "o.erp_order_number", "erased_at": "o.personal_data_erased_at"}[name]
}

// notice lets kvit know the orders, as a run does before anything else.
func (s *shop) notice() {
	s.t.Helper()
	require.NoError(s.t, store.NoticeAllOrders(s.t.Context(), s.db, *s.Orders, time.Time{}))
}
