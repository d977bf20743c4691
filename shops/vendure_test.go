package shops_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/shops"
	"kvit/store/storetest"
)

func TestMain(m *testing.M) { storetest.Run(m) }

func TestVendure(t *testing.T) {
	shops.Enabled(t)
	db := storetest.Empty(t)
	v := shops.StartVendure(t, db)
	orders := v.Sell(t)
	for _, o := range orders {
		line, _ := json.Marshal(o)
		t.Log(string(line))
	}
	require.Contains(t, v.OrderList(t), orders[0].Ref)
}
