package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStrategies reads each strategy in each of its forms.
func TestStrategies(t *testing.T) {
	t.Parallel()
	cfg := parse(t, shopLines+`retention:
  hash_key: ${HOOK}
  policy:
    - table: orders
      columns:
        a: keep
        b: null
        c: {text: ""}
        d: hash
        e: truncate_date
        f: {truncate_date: year}
        g: generalise
        h: {generalise: 3}
        i:
          json:
            items[].sku: keep
            visitor: hash
            born: {truncate_date: year}
    - {table: lines, match: {order_id: id}, parent: orders, rows: delete}
    - {table: photos, match: {line_id: id}, parent: lines, rows: keep}
    - {table: products, rows: keep}
`)
	var got []ColumnPolicy
	for _, c := range cfg.Retention.Policy[0].Columns {
		c.Line = 0
		for i := range c.Paths {
			c.Paths[i].Line = 0
		}
		got = append(got, c)
	}
	require.Equal(t, []ColumnPolicy{
		{Name: "a", Strategy: StrategyKeep},
		{Name: "b", Strategy: StrategyNull},
		{Name: "c", Strategy: StrategyText},
		{Name: "d", Strategy: StrategyHash},
		{Name: "e", Strategy: StrategyTruncateDate, Unit: "month"},
		{Name: "f", Strategy: StrategyTruncateDate, Unit: "year"},
		{Name: "g", Strategy: StrategyGeneralise, Length: 2},
		{Name: "h", Strategy: StrategyGeneralise, Length: 3},
		{Name: "i", Strategy: StrategyJSON, Paths: []ColumnPolicy{
			{Name: "items[].sku", Strategy: StrategyKeep},
			{Name: "visitor", Strategy: StrategyHash},
			{Name: "born", Strategy: StrategyTruncateDate, Unit: "year"},
		}},
	}, got)
	lines, photos, products := cfg.Retention.Policy[1], cfg.Retention.Policy[2], cfg.Retention.Policy[3]
	require.Equal(t, []any{"", true, false}, []any{lines.Parent, lines.DeleteRows, lines.KeepRows})
	require.Equal(t, []any{"public.lines", false, true}, []any{photos.Parent, photos.DeleteRows, photos.KeepRows})
	require.Nil(t, products.Match)
	require.Equal(t, "(set)", cfg.Retention.HashKey.String())
}
