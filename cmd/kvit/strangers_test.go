package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/shop"
)

// Of a shop that it does not know kvit says so, and what to do; of one that it recognises all the same, its name.
func TestInitOfAnUnknownShop(t *testing.T) {
	t.Parallel()
	require.Contains(t, unknownShop(shop.Catalog{}), "is $DATABASE_URL the shop's?")
	unknown := unknownShop(shop.Catalog{"public.bestilling": {"id"}})
	require.Contains(t, unknown, "none of the shops that kvit knows (")
	for _, s := range shops {
		require.Contains(t, unknown, s.Name)
	}
	require.Contains(t, unknown, "Nothing was written")
	require.Contains(t, unknown, "kvit policy draft")
	for _, s := range shop.Strangers {
		catalog := shop.Catalog{}
		for _, table := range s.Marks {
			catalog[table] = []string{"id"}
		}
		require.Contains(t, unknownShop(catalog), "this looks like "+s.Name)
		_, known := shop.Find(shops, catalog)
		require.False(t, known)
	}
}
