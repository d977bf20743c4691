package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCarts(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `
retention:
  carts:
    old: {table: web.carts, since: seen_at, erase_after: 90d}
    abandoned:
      table: carts
      when: "ordered_at is null"
      since: updated_at
      erase_after: 14d
      children:
        web.cart_notes: {cart: token}
        cart_items: {cart_id: id}
`)
	const day = 24 * time.Hour
	require.Nil(t, cfg.Shop, "carts need no orders")
	require.Equal(t, []Carts{
		{Line: 4, Name: "old", Table: "web.carts", Since: "seen_at", EraseAfter: 90 * day},
		{Line: 5, Name: "abandoned", Table: "public.carts", When: "ordered_at is null", Since: "updated_at", EraseAfter: 14 * day, Children: []CartChild{
			{Line: 11, Table: "web.cart_notes", Column: "cart", CartColumn: "token"},
			{Line: 12, Table: "public.cart_items", Column: "cart_id", CartColumn: "id"},
		}},
	}, cfg.Retention.Carts)
}

func TestMistakesInCarts(t *testing.T) {
	t.Parallel()
	const (
		carts   = "retention:\n  carts:\n" // up to line 2
		rule    = carts + "    old: {table: carts, since: seen, erase_after: 1d"
		pair    = "must be one pair {column of this table: column of the table of carts}"
		badName = "is not the name of a rule (lower-case letters, digits and _, at most 40, beginning with a letter)"
		policy  = "is a table of retention.policy: only one of them can say what becomes of its rows"
		orders  = "is the table of shop.orders: carts in it go by retention.clocks"
	)
	child := func(text string) string { return rule + ",\n      children: {" + text + "}}\n" } // on line 4
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"List":      {carts + "    - {table: carts}\n", []string{"2: retention.carts: must be a mapping of keys to values"}},
		"Text":      {carts + "    old: 7d\n", []string{"3: retention.carts.old: must be a mapping of keys to values"}},
		"Empty":     {carts + "    old: {}\n", []string{"3: retention.carts.old.table: is missing", "3: retention.carts.old.since: is missing", "3: retention.carts.old.erase_after: is missing"}},
		"Name":      {strings.Replace(rule, "old", "Old-Carts", 1) + "}\n", []string{"3: retention.carts.Old-Carts: " + badName}},
		"OwnName":   {strings.Replace(rule, "old", "replay", 1) + "}\n", []string{"3: retention.carts.replay: " + ownClock}},
		"Twice":     {rule + "}\n    old: {}\n", []string{"4: retention.carts.old: is written twice, first on line 3"}},
		"Table":     {strings.Replace(rule, "table: carts", "table: a.b.c", 1) + "}\n", []string{"3: retention.carts.old.table: " + badTable}},
		"WhenEmpty": {rule + ", when: ' '}\n", []string{"3: retention.carts.old.when: is empty"}},
		"WhenTrue":  {rule + ", when: true}\n", []string{"3: retention.carts.old.when: " + mustBeText}},
		"Since":     {strings.Replace(rule, "seen", "now()", 1) + "}\n", []string{"3: retention.carts.old.since: " + badColumn}},
		"AtOnce":    {strings.Replace(rule, "1d", "0", 1) + "}\n", []string{"3: retention.carts.old.erase_after: must be from 1s to 36500d"}},
		"Unknown":   {rule + ", childern: {}}\n", []string{`3: retention.carts.old.childern: is not a known key: did you mean "children"?`}},

		"Children":         {rule + ", children: [items]}\n", []string{"3: retention.carts.old.children: must be a mapping of keys to values"}},
		"ChildName":        {child("a.b.c: {cart: id}"), []string{"4: retention.carts.old.children.a.b.c: " + badTable}},
		"ChildText":        {child("items: cart"), []string{"4: retention.carts.old.children.items: must be a mapping of keys to values"}},
		"ChildEmpty":       {child("items: {}"), []string{"4: retention.carts.old.children.items: " + pair}},
		"ChildTwoPairs":    {child("items: {cart: id, token: token}"), []string{"4: retention.carts.old.children.items: " + pair}},
		"ChildColumn":      {child("items: {'a b': id}"), []string{"4: retention.carts.old.children.items.\"a b\": " + badColumn}},
		"ChildCartColumn":  {child("items: {cart: 'a b'}"), []string{"4: retention.carts.old.children.items.cart: " + badColumn}},
		"ChildIsCarts":     {child("public.carts: {cart: id}"), []string{"4: retention.carts.old.children.public.carts: is the table of carts itself"}},
		"ChildTwice":       {child("items: {cart: id}, public.items: {cart: id}"), []string{"4: retention.carts.old.children.public.items: names a table that line 4 has already"}},
		"OrdersTable":      {shopLines + strings.Replace(rule, "table: carts", "table: orders", 1) + "}\n", []string{"5: retention.carts.old.table: " + orders}},
		"OrdersTableChild": {shopLines + child("orders: {cart: id}"), []string{"6: retention.carts.old.children.orders: " + orders}},
		"InPolicy": {shopLines + rule + "}\n  policy:\n" + ordersTable + "    - {table: carts, rows: keep}\n",
			[]string{"5: retention.carts.old.table: " + policy}},
		"ChildInPolicy": {shopLines + child("items: {cart: id}") + "  policy:\n" + ordersTable + "    - {table: items, rows: keep}\n",
			[]string{"6: retention.carts.old.children.items: " + policy}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, want := range c.wants {
				c.wants[i] = "kvit.yaml:" + want
			}
			require.Equal(t, c.wants, mistakes(t, c.text, withDatabase))
		})
	}
}
