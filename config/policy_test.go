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

// A table with several ways has what becomes of its rows once, or for each way.
func TestWays(t *testing.T) {
	t.Parallel()
	cfg := parse(t, shopLines+`retention:
  keep: [countries, catalog.products]
  policy:
    - table: orders
      ignore_keys: [country_id]
      columns: {a: keep}
    - table: addresses
      columns: {street: null}
      ways:
        - match: {id: billing_id, shop: shop}
        - match: {id: shipping_id}
          when: "kind <> 'pickup'"
    - table: entries
      ways:
        - {match: {order_id: id}, rows: delete}
        - {match: {address_id: id}, parent: addresses, columns: {note: null}}
`)
	p := cfg.Retention.Policy
	require.Len(t, p, 7)
	require.Equal(t, []string{"country_id"}, p[0].IgnoreKeys)
	require.Equal(t, []Match{{Column: "id", OrderColumn: "billing_id"}, {Column: "shop", OrderColumn: "shop"}}, p[1].Match)
	require.Equal(t, "kind <> 'pickup'", p[2].When)
	require.Equal(t, p[1].Columns, p[2].Columns)
	require.True(t, p[3].DeleteRows)
	require.Equal(t, []any{"public.addresses", false, "note"}, []any{p[4].Parent, p[4].DeleteRows, p[4].Columns[0].Name})
	require.Equal(t, []string{"public.countries", "catalog.products"}, []string{p[5].Table, p[6].Table})
	require.True(t, p[5].KeepRows && p[6].KeepRows)
}

func TestMistakesInWays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ yaml, want string }{
		"Orders":      {"    - {table: orders, columns: {a: keep}, ways: [{match: {a: b}}]}\n", "ways: has no use on the table of shop.orders"},
		"NoFate":      {"    - {table: orders, columns: {a: keep}}\n    - {table: x, ways: [{match: {a: b}}]}\n", "retention.policy[1].ways[0].columns: is missing"},
		"NoMatch":     {"    - {table: orders, columns: {a: keep}}\n    - {table: x, rows: delete, ways: [{when: 'true'}]}\n", "retention.policy[1].ways[0].match: is missing"},
		"Unknown":     {"    - {table: orders, columns: {a: keep}}\n    - {table: x, rows: delete, ways: [{match: {a: b}, wen: x}]}\n", `did you mean "when"`},
		"Parent":      {"    - {table: orders, columns: {a: keep}}\n    - {table: x, rows: delete, ways: [{match: {a: b}, parent: y}]}\n", "retention.policy[1].ways[0].parent: names a table that the policy does not"},
		"KeptTwice":   {"    - {table: orders, columns: {a: keep}}\n  keep: [orders]\n", "retention.keep: names public.orders, which the policy has"},
		"MatchBeside": {"    - {table: orders, columns: {a: keep}}\n    - {table: x, rows: delete, match: {a: b}, ways: [{match: {a: b}}]}\n", "retention.policy[1].match: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("kvit.yaml", []byte(shopLines+"retention:\n  policy:\n"+c.yaml), withDatabase, testKinds)
			require.ErrorContains(t, err, c.want)
		})
	}
}
