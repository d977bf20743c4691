package policy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
)

func TestReach(t *testing.T) {
	t.Parallel()
	rules := policy.Policy{
		Orders: policy.OrdersTable{Name: "public.orders", Email: "email"},
		Tables: []policy.Table{
			{Name: "public.clicks", Parent: "public.newsletter", Match: &policy.Match{Column: "reader", OrderColumn: "id"}, DeleteRows: true},
			{Name: "public.orders"},
			{Name: "public.newsletter", Match: &policy.Match{Column: "address", OrderColumn: "email"}, Columns: []policy.Column{{Name: "address", Strategy: policy.Keep}}},
			{Name: "public.products", KeepRows: true},
			{Name: "public.lost", Parent: "public.nowhere", Match: &policy.Match{Column: "a", OrderColumn: "b"}},
		},
	}
	reached, apart := rules.Reach()
	toOrders := policy.Link{Column: "address", Table: "public.orders", Key: "email", Fold: true}
	require.Equal(t, []policy.Reached{
		{Table: "public.clicks", Paths: [][]policy.Link{[]policy.Link{{Column: "reader", Table: "public.newsletter", Key: "id"}, toOrders}}},
		{Table: "public.newsletter", Paths: [][]policy.Link{[]policy.Link{toOrders}}}, // also where every column is kept
	}, reached)
	require.Equal(t, []string{"public.products", "public.lost"}, apart)
}
