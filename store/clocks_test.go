package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

const day = 24 * time.Hour

// clockNow is when the tests below look.
var clockNow = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

// clocked has every kind of clock.
func clocked() store.Orders {
	o := shopOrders()
	o.EraseUnimportedAfter = 365 * day
	o.Clocks = []store.Clock{
		{Name: "cancelled", When: "status = 'cancelled' or number is null and status = '$1 {ref}'", Since: "changed", After: 14 * day},
		{Name: "abandoned_cart", When: "status in ('cart', 'cancelled')", Since: "placed", After: 7 * day},
	}
	return o
}

// clockedTx is a transaction with an orders table whose times are of the given type, read as UTC.
func clockedTx(t *testing.T, sqlType string) (pgx.Tx, store.Orders) {
	t.Helper()
	tx := storetest.Tx(t)
	mustExec(t, tx, `set local timezone = 'UTC'`)
	mustExec(t, tx, `create table public.orders (ref text unique, placed `+sqlType+`, imported `+sqlType+`, changed `+sqlType+`,
		number text, status text, erased timestamptz)`)
	return tx, clocked()
}

// Times that some programs write for none are before 1970. A run in small batches finds them all.
func TestDueInBatchesBefore1970(t *testing.T) {
	t.Parallel()
	for _, sqlType := range []string{"timestamptz", "timestamp", "date"} {
		t.Run(sqlType, func(t *testing.T) {
			t.Parallel()
			tx, o := clockedTx(t, sqlType)
			mustExec(t, tx, `
				insert into public.orders (ref, imported) values ('e', '-infinity'), ('d', '-infinity'), ('c', '0001-01-01'), ('b', '0001-01-01'), ('a', '1969-12-31'), ('0', '1970-01-01')`)
			var found []string
			due := store.Due{Now: clockNow, Clock: o.AllClocks()[0], Limit: 1}
			for range 7 {
				orders, err := store.LockDueOrders(t.Context(), tx, o, due)
				require.NoError(t, err)
				if len(orders) == 0 {
					break
				}
				found = append(found, orders[0].Ref)
				due.After = orders[0]
			}
			require.Equal(t, []string{"d", "e", "b", "c", "a", "0"}, found)
		})
	}
}

// dueBy finds the orders that go by each clock.
func dueBy(t *testing.T, tx pgx.Tx, o store.Orders, now time.Time) map[string][]string {
	t.Helper()
	due := map[string][]string{}
	for _, c := range o.AllClocks() {
		orders, err := store.LockDueOrders(t.Context(), tx, o, store.Due{Now: now, Clock: c, Limit: 1000})
		require.NoError(t, err)
		if list := refs(orders); list != nil {
			slices.Sort(list)
			due[c.Name] = list
		}
	}
	return due
}

func TestAllClocks(t *testing.T) {
	t.Parallel()
	names := func(o store.Orders) (list []string) {
		for _, c := range o.AllClocks() {
			list = append(list, c.Name)
		}
		return list
	}
	require.Equal(t, []string{"imported", "never_imported", "cancelled", "abandoned_cart"}, names(clocked()))
	require.Equal(t, []string{"imported"}, names(shopOrders()))
}

func TestOrderGoesByTheFirstClockThatIsUp(t *testing.T) {
	t.Parallel()
	for _, sqlType := range []string{"timestamptz", "timestamp", "date"} {
		t.Run(sqlType, func(t *testing.T) {
			t.Parallel()
			tx, o := clockedTx(t, sqlType)
			mustExec(t, tx, `
				insert into public.orders (ref, placed, imported, status, changed) values
				    ('imported', '2025-01-01', '2026-02-01', 'cancelled', '2026-01-01'),
				    ('imported-lately', '2025-01-01', '2026-03-30', 'paid', null),
				    ('imported-lately-cancelled', '2025-01-01', '2026-03-30', 'cancelled', '2026-03-01'),
				    ('never', '2025-01-01', null, 'paid', '2025-01-01'),
				    ('never-and-cancelled', '2025-01-01', null, 'cancelled', '2025-01-01'),
				    ('never-of-no-status', '2025-01-01', null, null, '2025-01-01'),
				    ('cancelled', '2026-03-30', null, 'cancelled', '2026-03-01'),
				    ('cancelled-lately', '2026-03-30', null, 'cancelled', '2026-03-30'),
				    ('cancelled-by-nobody', '2026-03-30', null, 'cancelled', null),
				    ('cancelled-cart', '2026-03-01', null, 'cancelled', null),
				    ('cart', '2026-03-01', null, 'cart', null),
				    ('quoted', '2026-03-30', null, '$1 {ref}', '2026-03-01'),
				    ('no-status', '2026-03-01', null, null, '2026-03-01'),
				    ('nothing', null, null, null, null),
				    ('infinity', 'infinity', 'infinity', 'cancelled', 'infinity'),
				    ('minus-infinity', '-infinity', '-infinity', 'cancelled', '-infinity'),
				    ('placed-in-no-time', '-infinity', null, 'paid', 'infinity')`)
			require.Equal(t, map[string][]string{
				"imported":       {"imported", "minus-infinity"},
				"never_imported": {"never", "never-and-cancelled", "never-of-no-status", "placed-in-no-time"},
				"cancelled":      {"cancelled", "imported-lately-cancelled", "quoted"},
				"abandoned_cart": {"cancelled-cart", "cart"},
			}, dueBy(t, tx, o, clockNow))
			due, _, err := store.CountDueOrders(t.Context(), tx, o, clockNow)
			require.NoError(t, err)
			require.Equal(t, 11, due)
		})
	}
}

// A request takes what the ERP has or another clock lets go, a replay everything, and neither what is
// held, erased or not named.
func TestClocksThatTakeWhatTheyAreTold(t *testing.T) {
	t.Parallel()
	tx, o := clockedTx(t, "timestamptz")
	mustExec(t, tx, `
		insert into public.orders (ref, placed, imported, status, erased) values
		    ('imported', $1, $1, 'paid', null), ('cart', $1::timestamptz - interval '8 days', null, 'cart', null), ('young', $1, null, 'paid', null),
		    ('no-status', $1, null, null, null), ('held', $1, $1, 'paid', null), ('erased', $1, $1, 'paid', $1), ('not-named', $1, $1, 'paid', null)`, clockNow)
	mustExec(t, tx, `insert into kvit.legal_hold (order_ref, reason, placed_by) values ('held', 'audit', 'ops')`)
	for clock, want := range map[string][]string{
		store.ClockRequest: {"cart", "imported"},
		store.ClockReplay:  {"cart", "imported", "no-status", "young"},
	} {
		orders, err := store.LockDueOrders(t.Context(), tx, o, store.Due{
			Now: clockNow, Clock: store.Clock{Name: clock}, Limit: 100,
			Refs: []string{"imported", "cart", "young", "no-status", "held", "erased", "unknown"},
		})
		require.NoError(t, err)
		require.Equal(t, want, refs(orders), clock)
	}
}

// Whatever the times, an order is due from the moment that the view tells, by one clock.
func TestDueAtIsWhenAClockIsUp(t *testing.T) {
	t.Parallel()
	for _, sqlType := range []string{"timestamptz", "timestamp", "date"} {
		t.Run(sqlType, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			tx, o := clockedTx(t, sqlType)
			moment := func(odd ...string) *string {
				switch random.IntN(8) {
				case 0, 1, 2:
					return nil
				case 3:
					return new(pickOne(random, odd...))
				}
				return new(clockNow.Add(-time.Duration(random.Int64N(int64(400 * day)))).Truncate(time.Microsecond).Format(time.RFC3339Nano))
			}
			for i := range 60 {
				mustExec(t, tx, `insert into public.orders (ref, placed, imported, changed, status) values ($1, $2::text::`+sqlType+`, $3::text::`+sqlType+`, $4::text::`+sqlType+`, $5)`,
					fmt.Sprintf("E%d", i), moment("infinity", "-infinity", "0001-01-01"), moment("infinity", "-infinity", "0001-01-01"), moment("infinity", "-infinity"), pickOne(random, "paid", "cart", "cancelled"))
			}
			require.NoError(t, store.SyncOrderStatus(t.Context(), tx, o))
			require.NoError(t, store.NoticeAllOrders(t.Context(), tx, o, time.Time{}))
			rows, err := tx.Query(t.Context(), `select erase_due_at from kvit.order_status where isfinite(erase_due_at) and erase_due_at > '1900-01-01' order by random() limit 8`)
			require.NoError(t, err)
			times, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
			require.NoError(t, err)
			require.NotEmpty(t, times)
			for _, at := range times {
				for _, now := range []time.Time{at.Add(-time.Microsecond), at} {
					var found []string
					for _, list := range dueBy(t, tx, o, now) {
						found = append(found, list...)
					}
					slices.Sort(found)
					rows, err := tx.Query(t.Context(), `select order_ref from kvit.order_status where erase_due_at <= $1 order by order_ref collate "C"`, now)
					require.NoError(t, err)
					told, err := pgx.CollectRows(rows, pgx.RowTo[string])
					require.NoError(t, err)
					require.Equal(t, told, found, "%s", now)
					due, _, err := store.CountDueOrders(t.Context(), tx, o, now)
					require.NoError(t, err)
					require.Len(t, found, due)
				}
			}
		})
	}
}

func TestHeldOrders(t *testing.T) {
	t.Parallel()
	for refType, list := range map[string][]string{
		"text":    {"10", "11", "9", "not a number"},
		"integer": {"10", "11", "9"},
	} {
		t.Run(refType, func(t *testing.T) {
			t.Parallel()
			tx, o := ordersTx(t, refType)
			mustExec(t, tx, `alter table public.orders add status text, add changed timestamptz`)
			o.Clocks = clocked().Clocks[1:]
			for i, ref := range list {
				mustExec(t, tx, `insert into public.orders (ref, placed, status) values ($1::text::`+refType+`, $2, 'cart')`, ref, clockNow.Add(-time.Duration(8+i)*day))
			}
			mustExec(t, tx, `insert into public.orders (ref, placed, imported, status, erased) values
				('1', $1, null, 'cart', null), ('2', '2025-01-01', '2025-01-01', 'cart', now()), ('3', '2025-01-01', '2025-01-01', 'paid', null), ('4', '2025-01-01', '2025-01-01', 'paid', null)`,
				clockNow.Add(-6*day))
			mustExec(t, tx, `
				insert into kvit.legal_hold (order_ref, reason, placed_by, expires_at)
				select ref, 'audit', 'ops', null from unnest($1::text[]) ref
				union all values ('1', 'young', 'ops', null), ('2', 'erased', 'ops', null), ('99', 'unknown', 'ops', null), ('E-7', 'unknown', 'ops', null),
				    ('3', 'expired', 'ops', $2::timestamptz), ('4', 'expires', 'ops', $2::timestamptz + interval '1 microsecond')`, list, clockNow)

			held, err := store.HeldOrders(t.Context(), tx, o, clockNow, 100)
			require.NoError(t, err)
			want := []store.HeldOrder{{OrderRef: "4", Reason: "expires", ExpiresAt: new(clockNow.Add(time.Microsecond))}}
			for _, ref := range list {
				want = append(want, store.HeldOrder{OrderRef: ref, Reason: "audit"})
			}
			slices.SortFunc(want, func(a, b store.HeldOrder) int { return strings.Compare(a.OrderRef, b.OrderRef) })
			for i := range held {
				if held[i].ExpiresAt != nil {
					held[i].ExpiresAt = new(held[i].ExpiresAt.UTC())
				}
			}
			require.Equal(t, want, held)
			_, count, err := store.CountDueOrders(t.Context(), tx, o, clockNow)
			require.NoError(t, err)
			require.Equal(t, len(want), count)

			two, err := store.HeldOrders(t.Context(), tx, o, clockNow, 2)
			require.NoError(t, err)
			require.Len(t, two, 2)
			require.Equal(t, []string{"10", "11"}, []string{two[0].OrderRef, two[1].OrderRef})
		})
	}
}
