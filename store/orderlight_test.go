package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// The colours of a backoffice: what the ERP has, what waits for it, and what somebody has to look into.
func TestOrderLight(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	mustExec(t, db, `
		create table public.orders (ref text primary key, status text default 'paid', placed timestamptz default now());
		insert into public.orders (ref, status, placed) values ('there', 'paid', now()), ('waits', 'paid', now()), ('late', 'paid', now() - interval '5 hours'),
		    ('cancelled', 'cancelled', now() - interval '5 hours'), ('twice', 'paid', now()), ('gone', 'paid', now());
		insert into kvit.order_mark (order_ref, imported_at, erp_number, erased_at) values
		    ('there', now(), 'SO-1', null), ('waits', null, null, null), ('late', null, null, null), ('cancelled', null, null, null),
		    ('twice', now(), 'SO-2', null), ('gone', now(), 'SO-3', now())`)
	mustExec(t, db, `insert into kvit.erp_receipt (order_ref, erp_order_number, source) values ('twice', 'SO-4', 'bc')`)
	mustExec(t, db, `update kvit.erp_receipt set status = 'conflict'`)
	o := store.Orders{Table: "public.orders", Ref: "ref", PlacedAt: "placed", AwaitingImport: "status = 'paid'", EraseAfter: time.Hour, AlarmAfter: 4 * time.Hour}
	require.NoError(t, store.SyncOrderStatus(t.Context(), db, o))
	lights := one[map[string]string](t, db, `select jsonb_object_agg(order_ref, light) from kvit.order_light`)
	require.Equal(t, map[string]string{"there": "green", "waits": "blue", "late": "red", "twice": "red"}, lights)

	mustExec(t, db, `drop table public.orders`)
	require.Empty(t, one[map[string]string](t, db, `select jsonb_object_agg(order_ref, light) from kvit.order_light`), "nothing is said of what cannot be seen")
}
