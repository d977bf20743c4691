package jobs

import (
	"context"
	"log/slog"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erp"
	"kvit/store"
	"kvit/store/storetest"
)

// markOrders marks without a check of completeness.
func markOrders(ctx context.Context, db store.DB, orders *store.Orders, ids []int64) error {
	return marker{db: db, orders: orders}.mark(ctx, ids)
}

// shopWithLines is the shop's table with totals, and their lines.
const shopWithLines = erpShop + `;
	alter table public.web_orders add column total numeric(10, 2);
	create table public.lines (order_no integer, kind text);
	insert into public.web_orders ("No", total) values (1, 100), (2, 100);
	insert into public.lines values (1, 'item'), (1, 'item'), (1, 'gift wrap'), (2, 'item')`

func ordersWithLines() *store.Orders {
	orders := erpOrders()
	orders.Total = "total"
	orders.Lines = &store.Lines{Table: "public.lines", Match: []store.Pair{{Column: "order_no", Key: "No"}}, Where: "kind <> 'gift wrap'"}
	return orders
}

// Evidence of a source that is checked marks an order only if it shows all of it; what it does not tell is not complete.
func TestIncompleteEvidenceMarksNothing(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	_, err := tx.Exec(ctx, shopWithLines)
	require.NoError(t, err)
	m := marker{tx, ordersWithLines(), map[string]erp.Check{"bc": {Lines: true, Total: true, Tolerance: "0.05"}}}
	for _, step := range []struct {
		order  int
		lines  *int
		total  string
		status string
	}{
		{1, nil, "100", "incomplete"}, {1, new(2), "", "incomplete"}, {1, new(3), "100", "incomplete"}, {1, new(1), "100", "incomplete"},
		{1, new(2), "100.06", "incomplete"}, {1, new(2), "NaN", "incomplete"}, {1, new(2), "99.95", "marked"}, {1, new(1), "1", "already_marked"},
	} {
		id := scan[int64](t, tx, `insert into kvit.erp_receipt (order_ref, source, erp_order_number, line_count, total) values ($1, 'bc', 'SO-1', $2, nullif($3, '')::numeric) returning id`,
			strconv.Itoa(step.order), step.lines, step.total)
		require.NoError(t, m.mark(ctx, []int64{id}))
		require.Equal(t, step.status, scan[string](t, tx, `select status from kvit.erp_receipt where id = $1`, id), "%+v", step)
		require.Equal(t, step.status != "incomplete", scan[bool](t, tx, `select imported is not null from public.web_orders where "No" = $1`, step.order))
	}
	require.Equal(t, 0, scan[int](t, tx, `select count(*)::int from kvit.erp_receipt where status = 'incomplete' or total is not null`), "what waited is put aside, and totals are forgotten")
	n, err := store.CountIncomplete(ctx, tx, *m.orders)
	require.NoError(t, err)
	require.Zero(t, n)
}

// A person confirms what there is, and the 30 days begin then; what comes later is compared again.
func TestPersonConfirmsIncompleteEvidence(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	_, err := tx.Exec(ctx, shopWithLines+`;
		insert into kvit.erp_receipt (order_ref, source, erp_order_number, line_count, imported_at) values ('1', 'bc', 'SO-1', 1, now() - interval '1 day')`)
	require.NoError(t, err)
	orders := ordersWithLines()
	m := marker{tx, orders, map[string]erp.Check{"bc": {Lines: true}}}
	confirmation := store.Confirmation{OrderRef: "1", Reason: "the rest is billed elsewhere", By: "anna"}
	require.ErrorIs(t, store.ConfirmOrder(ctx, tx, *orders, confirmation), store.ErrNothingToConfirm)
	require.ErrorIs(t, store.ConfirmOrder(ctx, tx, *orders, store.Confirmation{OrderRef: "9", Reason: "x", By: "y"}), store.ErrNoSuchOrder)
	id := scan[int64](t, tx, `select id from kvit.erp_receipt`)
	require.NoError(t, m.mark(ctx, []int64{id}))

	list, err := store.IncompleteOrders(ctx, tx, *orders, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "the ERP has 1 lines, and the order 2", *list[0].Problem)

	require.NoError(t, store.ConfirmOrder(ctx, tx, *orders, confirmation))
	require.Equal(t, id, scan[int64](t, tx, `select (args ->> 'receipt_id')::bigint from kvit.river_job where kind = 'mark_order' order by id desc limit 1`))
	require.NoError(t, m.mark(ctx, []int64{id}))
	require.Equal(t, "1 marked", statuses(t, tx))
	require.True(t, scan[bool](t, tx, `select imported = (select confirmed_at from kvit.order_confirmation where confirmed_by = 'anna') from public.web_orders where "No" = 1`))
	require.Equal(t, "SO-1", scan[string](t, tx, `select erp from public.web_orders where "No" = 1`))
	require.ErrorIs(t, store.ConfirmOrder(ctx, tx, *orders, confirmation), store.ErrImported)
	require.Equal(t, "anna confirm order 1: the rest is billed elsewhere", scan[string](t, tx, `
		select string_agg(format('%s %s %s: %s', who, action, subject, reason), E'\n') from kvit.audit`), "once, and nothing of what was refused")
}

// Where the order is mended, or the check is switched off, the last word of the ERP is judged anew.
func TestIncompleteEvidenceIsJudgedAgain(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	_, err := tx.Exec(ctx, shopWithLines+`;
		insert into kvit.erp_receipt (order_ref, source, erp_order_number, line_count) values ('1', 'bc', 'SO-1', 2), ('1', 'bc', 'SO-1', 1), ('2', 'bc', 'SO-2', 3)`)
	require.NoError(t, err)
	orders := ordersWithLines()
	_, err = tx.Exec(ctx, `insert into public.lines values (1, 'item')`)
	require.NoError(t, err)
	w := &maintainWorker{db: tx, orders: orders, checks: map[string]erp.Check{"bc": {Lines: true}}, logger: slog.New(slog.DiscardHandler)}
	_, err = tx.Exec(ctx, `update kvit.erp_receipt set status = 'incomplete'`)
	require.NoError(t, err)
	require.NoError(t, w.mark(ctx))
	require.Equal(t, "1 incomplete, 1 incomplete, 2 incomplete", statuses(t, tx))
	_, err = tx.Exec(ctx, `delete from public.lines where order_no = 1 and ctid = (select min(ctid) from public.lines where order_no = 1)`)
	require.NoError(t, err)
	require.NoError(t, w.mark(ctx))
	require.Equal(t, "1 incomplete, 1 incomplete, 2 incomplete", statuses(t, tx), "the older word of the ERP does not count any more")
	w.checks = nil
	require.NoError(t, w.mark(ctx))
	require.Equal(t, "1 ignored, 1 marked, 2 marked", statuses(t, tx))
}
