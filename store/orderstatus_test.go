package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store"
)

// One order is looked up by indexes alone, wherever its marks are, whatever its clocks, and however much kvit knows of
// others.
func TestOrderStatusReadsNoTableWhole(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]bool{"MarksOfKvit": true, "ColumnsOfTheShop": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, o := markedShop(t, "bigint")
			if !own {
				mustExec(t, db, `alter table public.orders add imported timestamptz, add number text, add erased timestamptz;
					update public.orders o set imported = m.imported_at, number = m.erp_number, erased = m.erased_at from kvit.order_mark m where m.order_ref = o.ref::text;
					truncate kvit.order_mark`)
				o.ImportedAt, o.ERPNumber, o.ErasedAt = "imported", "number", "erased"
			}
			o.EraseUnimportedAfter = 90 * 24 * time.Hour
			o.Clocks = []store.Clock{{Name: "cancelled", When: "status = 'cancelled'", Since: "placed", After: 24 * time.Hour}}
			mustExec(t, db, `insert into kvit.event (event_key, name, occurred_at, order_ref, consent) select 'order_paid:' || i, 'order_paid', now(), i::text, '{}' from generate_series(1, 20000) i;
				insert into kvit.erp_receipt (order_ref, source) select i::text, 'erp' from generate_series(1, 20000) i`)
			require.NoError(t, store.SyncOrderStatus(t.Context(), db, o))
			mustExec(t, db, `vacuum analyze`)
			tx, err := db.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = tx.Rollback(t.Context()) }()
			for range 7 { // Postgres may change its mind about a statement's plan at the sixth time
				require.Equal(t, "SO-71", one[string](t, tx, `select erp_order_number from kvit.order_status where order_ref = $1`, "71"))
			}
			whole := one[int64](t, tx, `
				select coalesce(sum(seq_tup_read), 0)::bigint from pg_stat_xact_all_tables
				where relid in ('public.orders'::regclass, 'kvit.order_mark'::regclass, 'kvit.event'::regclass, 'kvit.erp_receipt'::regclass)`)
			require.Zero(t, whole)
		})
	}
}
