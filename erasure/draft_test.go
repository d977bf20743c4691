package erasure

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A draft has the tables that refer to the orders, and of the others those that are asked for.
func TestDraftPolicy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tables := func(asked ...string) []string {
		draft, err := DraftPolicy(t.Context(), s.db, s.policy().Orders, "customer_id", asked)
		require.NoError(t, err)
		var names []string
		for _, table := range draft.Tables {
			names = append(names, table.Table)
		}
		return names
	}
	require.Equal(t, []string{"public.orders", "public.customers", "public.order_lines", "public.payments"}, tables(), "payments and customers by their columns' names")
	require.ElementsMatch(t, []string{"public.orders", "public.customers", "public.order_lines", "public.payments"}, tables("public.customers"))
}
