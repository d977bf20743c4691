package destination_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
)

func goodsOf(t *testing.T, name, payload string) destination.Goods {
	t.Helper()
	return destinationtest.EventWith(t, name, payload).Goods()
}

func TestGoods(t *testing.T) {
	t.Parallel()
	const all = `{"order": {"ref": "other", "currency": "DKK", "total": "749.00", "items": [{"sku": "O"}]},
	 "cart": {"currency": "SEK", "total": "2", "items": [{"sku": "C"}]}, "product": {"currency": "NOK", "sku": "P", "name": "Coat", "category": "Coats", "unit_price": "3"},
	 "list": {"name": "Coats", "currency": "EUR", "items": [{"sku": "L"}]}, "search": {"term": "coat"}}`
	order := destination.Goods{Reference: "E100042", Currency: "DKK", Total: "749.00", Items: []destination.Item{{SKU: "O"}}}
	cart := destination.Goods{Currency: "SEK", Total: "2", Items: []destination.Item{{SKU: "C"}}}
	product := destination.Goods{Currency: "NOK", Name: "Coat", Category: "Coats", Items: []destination.Item{{SKU: "P", Name: "Coat", Category: "Coats", Quantity: "1", UnitPrice: "3"}}}
	for name, want := range map[string]destination.Goods{
		"order_paid": order, "order_partly_refunded": order, "cart_updated": cart, "payment_info_given": cart, "product_viewed": product, "wishlist_item_added": product,
		"list_viewed": {Currency: "EUR", Name: "Coats", Items: []destination.Item{{SKU: "L"}}}, "search": {Term: "coat"}, "page_viewed": {}, "logged_in": {},
	} {
		require.Equal(t, want, goodsOf(t, name, all), name)
		require.Empty(t, goodsOf(t, name, `{}`).Currency, name)
	}
	custom := order
	custom.Reference = "other"
	require.Equal(t, custom, goodsOf(t, "custom:x", all))
	require.Equal(t, cart, goodsOf(t, "custom:x", `{"cart": {"currency": "SEK", "total": "2", "items": [{"sku": "C"}]}}`))
	require.Equal(t, "E100042", goodsOf(t, "order_paid", `{}`).Reference)
}

func TestAmount(t *testing.T) {
	t.Parallel()
	require.Equal(t, "7.50", string(destination.Goods{Currency: "DKK"}.Amount("007.50")))
	require.Nil(t, destination.Goods{Currency: "DKK"}.Amount("-7.50"))
	require.Nil(t, destination.Goods{Currency: "DKK"}.Amount(""))
	require.Nil(t, destination.Goods{}.Amount("7.50"))
}

func TestPieces(t *testing.T) {
	t.Parallel()
	for want, items := range map[int64][]destination.Item{
		0: nil, 5: {{Quantity: "2"}, {Quantity: "3.0"}}, 1: {{Quantity: "1"}},
	} {
		require.Equal(t, want, destination.Goods{Items: items}.Pieces())
	}
	require.Zero(t, destination.Goods{Items: []destination.Item{{Quantity: "2"}, {Quantity: "0.5"}}}.Pieces())
	require.Zero(t, destination.Goods{Items: []destination.Item{{Quantity: "2"}, {}}}.Pieces())
}

func TestPricelessSale(t *testing.T) {
	t.Parallel()
	require.Nil(t, destination.Goods{Currency: "DKK", Total: "0"}.PricelessSale())
	require.EqualError(t, destination.Goods{Currency: "DKK"}.PricelessSale(), "order.total: is required with order.currency")
	require.EqualError(t, destination.Goods{Total: "1"}.PricelessSale(), "order.total: is required with order.currency")
	require.EqualError(t, destination.Goods{Currency: "DKK", Total: "-1"}.PricelessSale(), "order.total: must not be negative")
}

func TestEmptyCart(t *testing.T) {
	t.Parallel()
	for payload, empty := range map[string]bool{`{"cart": {"items": []}}`: true, `{"cart": {"items": [{}]}}`: false, `{"cart": {}}`: false, `{}`: false} {
		require.Equal(t, empty, destinationtest.EventWith(t, "cart_updated", payload).EmptyCart() != nil, payload)
		require.Nil(t, destinationtest.EventWith(t, "checkout_started", payload).EmptyCart())
	}
}
