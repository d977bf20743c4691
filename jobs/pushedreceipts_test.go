package jobs

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/erp"
	"kvit/store/storetest"
)

// TestPushedReceipts: what was pushed is judged before the answer, and again, and again, does no harm.
func TestPushedReceipts(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), storetest.DB(t)
	_, err := pool.Exec(ctx, erpShop+`; insert into public.web_orders ("No") select i from generate_series(1, 3) i`)
	require.NoError(t, err)
	startClient(t, pool, erpOrders(), func(context.Context, destination.Event) (int, error) { return 200, nil })
	pushed := PushedReceipts{DB: pool, Orders: *erpOrders()}
	take := func(docs ...erp.Document) []string {
		statuses, err := pushed.Take(ctx, docs)
		require.NoError(t, err)
		return statuses
	}
	docs := []erp.Document{
		{Kind: erp.OrderDocument, Ref: "1", Number: "SO-1"}, {Kind: erp.InvoiceDocument, Ref: "2", Number: "F-2", OrderNumber: "SO-2"},
		{Kind: erp.OrderDocument, Ref: "9", Number: "SO-9"}, {Kind: erp.QuoteDocument, Ref: "3", Number: "Q-3"}, {Kind: erp.ReceiptFailed, Ref: "3"},
	}
	require.Equal(t, []string{"marked", "marked", "unknown_order", "ignored", "ignored"}, take(docs...))
	require.Equal(t, []string{"already_marked", "already_marked", "unknown_order", "ignored", "ignored"}, take(docs...))
	require.Equal(t, 5, scan[int](t, pool, `select count(*) from kvit.erp_receipt`), "the same twice is there once")
	require.Equal(t, []string{"conflict"}, take(erp.Document{Kind: erp.OrderDocument, Ref: "1", Number: "SO-7"}))
	require.Equal(t, "SO-1 SO-2", scan[string](t, pool, `select string_agg(erp, ' ' order by "No") from public.web_orders`))
	require.True(t, scan[bool](t, pool, `select imported is null from public.web_orders where "No" = 3`), "neither a quote nor a failure is evidence")
}

// TestPushedReceiptsThatNobodyJudges: they are stored all the same.
func TestPushedReceiptsThatNobodyJudges(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	_, err := tx.Exec(ctx, erpShop+`; insert into public.web_orders ("No") values (1)`)
	require.NoError(t, err)
	statuses, err := PushedReceipts{DB: tx, Orders: *erpOrders()}.Take(ctx, []erp.Document{{Kind: erp.OrderDocument, Ref: "1", Number: "SO-1"}})
	require.NoError(t, err)
	require.Equal(t, []string{"new"}, statuses)
}
