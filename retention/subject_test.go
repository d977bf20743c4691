package retention_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/retention"
)

func TestReach(t *testing.T) {
	t.Parallel()
	policy := retention.Policy{
		Orders: retention.OrdersTable{Name: "public.orders", Email: "email"},
		Tables: []retention.Table{
			{Name: "public.clicks", Parent: "public.newsletter", Match: &retention.Match{Column: "reader", OrderColumn: "id"}, DeleteRows: true},
			{Name: "public.orders"},
			{Name: "public.newsletter", Match: &retention.Match{Column: "address", OrderColumn: "email"}, Columns: []retention.Column{{Name: "address", Strategy: retention.Keep}}},
			{Name: "public.products", KeepRows: true},
			{Name: "public.lost", Parent: "public.nowhere", Match: &retention.Match{Column: "a", OrderColumn: "b"}},
		},
	}
	reached, apart := policy.Reach()
	toOrders := retention.Link{Column: "address", Table: "public.orders", Key: "email", Fold: true}
	require.Equal(t, []retention.Reached{
		{Table: "public.clicks", Path: []retention.Link{{Column: "reader", Table: "public.newsletter", Key: "id"}, toOrders}},
		{Table: "public.newsletter", Path: []retention.Link{toOrders}}, // also where every column is kept
	}, reached)
	require.Equal(t, []string{"public.products", "public.lost"}, apart)
}
