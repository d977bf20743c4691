package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTables(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `
retention:
  tables:
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
	require.Nil(t, cfg.Shop, "rules need no orders")
	require.Equal(t, []TableRule{
		{Line: 4, Name: "old", Table: "web.carts", Since: "seen_at", EraseAfter: 90 * day},
		{Line: 5, Name: "abandoned", Table: "public.carts", When: "ordered_at is null", Since: "updated_at", EraseAfter: 14 * day, Children: []TableChild{
			{Line: 11, Table: "web.cart_notes", Column: "cart", ParentColumn: "token"},
			{Line: 12, Table: "public.cart_items", Column: "cart_id", ParentColumn: "id"},
		}},
	}, cfg.Retention.Tables)
}

func TestMistakesInTables(t *testing.T) {
	t.Parallel()
	const (
		carts   = "retention:\n  tables:\n" // up to line 2
		rule    = carts + "    old: {table: carts, since: seen, erase_after: 1d"
		pair    = "must be one pair {column of this table: column of the rule's table}"
		badName = "is not the name of a rule (lower-case letters, digits and _, at most 40, beginning with a letter)"
		policy  = "is a table of retention.policy: only one of them can say what becomes of its rows"
		orders  = "is the table of shop.orders: rows in it go by retention.clocks"
	)
	child := func(text string) string { return rule + ",\n      children: {" + text + "}}\n" } // on line 4
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"List":      {carts + "    - {table: carts}\n", []string{"2: retention.tables: must be a mapping of keys to values"}},
		"Text":      {carts + "    old: 7d\n", []string{"3: retention.tables.old: must be a mapping of keys to values"}},
		"Empty":     {carts + "    old: {}\n", []string{"3: retention.tables.old.table: is missing", "3: retention.tables.old.since: is missing", "3: retention.tables.old.erase_after: is missing"}},
		"Name":      {strings.Replace(rule, "old", "Old-Carts", 1) + "}\n", []string{"3: retention.tables.Old-Carts: " + badName}},
		"OwnName":   {strings.Replace(rule, "old", "replay", 1) + "}\n", []string{"3: retention.tables.replay: " + ownClock}},
		"Twice":     {rule + "}\n    old: {}\n", []string{"4: retention.tables.old: is written twice, first on line 3"}},
		"Table":     {strings.Replace(rule, "table: carts", "table: a.b.c", 1) + "}\n", []string{"3: retention.tables.old.table: " + badTable}},
		"WhenEmpty": {rule + ", when: ' '}\n", []string{"3: retention.tables.old.when: is empty"}},
		"WhenTrue":  {rule + ", when: true}\n", []string{"3: retention.tables.old.when: " + mustBeText}},
		"Since":     {strings.Replace(rule, "seen", "now()", 1) + "}\n", []string{"3: retention.tables.old.since: " + badColumn}},
		"AtOnce":    {strings.Replace(rule, "1d", "0", 1) + "}\n", []string{"3: retention.tables.old.erase_after: must be from 1s to 36500d"}},
		"Unknown":   {rule + ", childern: {}}\n", []string{`3: retention.tables.old.childern: is not a known key: did you mean "children"?`}},

		"Children":         {rule + ", children: [items]}\n", []string{"3: retention.tables.old.children: must be a mapping of keys to values"}},
		"ChildName":        {child("a.b.c: {cart: id}"), []string{"4: retention.tables.old.children.a.b.c: " + badTable}},
		"ChildText":        {child("items: cart"), []string{"4: retention.tables.old.children.items: must be a mapping of keys to values"}},
		"ChildEmpty":       {child("items: {}"), []string{"4: retention.tables.old.children.items: " + pair}},
		"ChildTwoPairs":    {child("items: {cart: id, token: token}"), []string{"4: retention.tables.old.children.items: " + pair}},
		"ChildColumn":      {child("items: {'a b': id}"), []string{"4: retention.tables.old.children.items.\"a b\": " + badColumn}},
		"ChildCartColumn":  {child("items: {cart: 'a b'}"), []string{"4: retention.tables.old.children.items.cart: " + badColumn}},
		"ChildIsCarts":     {child("public.carts: {cart: id}"), []string{"4: retention.tables.old.children.public.carts: is the rule's own table"}},
		"ChildTwice":       {child("items: {cart: id}, public.items: {cart: id}"), []string{"4: retention.tables.old.children.public.items: names a table that line 4 has already"}},
		"OldKey":           {"retention:\n  carts: {old: {table: carts}}\n", []string{"2: retention.carts: is called tables now: write retention.tables"}},
		"Zone":             {rule + ", time_zone: Mars}\n", []string{"3: retention.tables.old.time_zone: is not a known time zone, as in Europe/Copenhagen or UTC"}},
		"Rows":             {rule + ", rows: keep}\n", []string{"3: retention.tables.old.rows: must be delete"}},
		"RowsAndColumns":   {rule + ", rows: delete, columns: {a: null}}\n", []string{"3: retention.tables.old.columns: has no use beside rows: delete"}},
		"NoColumns":        {rule + ", columns: {}}\n", []string{"3: retention.tables.old.columns: names no column"}},
		"KeptColumns":      {rule + ", columns: {a: keep, b: keep}}\n", []string{"3: retention.tables.old.columns: keeps every column, so that nothing would be erased"}},
		"Strategy":         {rule + ", columns: {a: keep, b: nul}}\n", []string{"3: retention.tables.old.columns.b: " + strategyProblem}},
		"NoHashKey":        {rule + ", columns: {a: hash}}\n", []string{"1: retention.hash_key: is missing, and the policy has a column that becomes a hash"}},
		"OrdersTable":      {shopLines + strings.Replace(rule, "table: carts", "table: orders", 1) + "}\n", []string{"5: retention.tables.old.table: " + orders}},
		"OrdersTableChild": {shopLines + child("orders: {cart: id}"), []string{"6: retention.tables.old.children.orders: " + orders}},
		"InPolicy": {shopLines + rule + "}\n  policy:\n" + ordersTable + "    - {table: carts, rows: keep}\n",
			[]string{"5: retention.tables.old.table: " + policy + ", unless when tells which of them this one takes"}},
		"OrdersTableWhen": {shopLines + strings.Replace(rule, "table: carts", "table: orders", 1) + ", when: a}\n", []string{"5: retention.tables.old.table: " + orders}},
		"ChildInPolicy": {shopLines + child("items: {cart: id}") + "  policy:\n" + ordersTable + "    - {table: items, rows: keep}\n",
			[]string{"6: retention.tables.old.children.items: " + policy}},
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

func TestTableWhoseRowsAreOverwritten(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `
retention:
  tables:
    accounts:
      table: accounts
      since: seen_at
      time_zone: Europe/Copenhagen
      erase_after: 730d
      columns: {id: keep, email: generalise, name: {text: erased}, note: null}
`)
	require.Equal(t, []TableRule{{
		Line: 4, Name: "accounts", Table: "public.accounts", Since: "seen_at", TimeZone: "Europe/Copenhagen", EraseAfter: 730 * 24 * time.Hour,
		Columns: []ColumnPolicy{
			{Line: 9, Name: "id", Strategy: StrategyKeep}, {Line: 9, Name: "email", Strategy: StrategyGeneralise, Length: 2},
			{Line: 9, Name: "name", Strategy: StrategyText, Text: "erased"}, {Line: 9, Name: "note", Strategy: StrategyNull},
		},
	}}, cfg.Retention.Tables)
}

// A table of the policy may have rows that no order leads to.
func TestRuleForRowsThatThePolicyLeaves(t *testing.T) {
	t.Parallel()
	cfg := parse(t, shopLines+"retention:\n  tables:\n    orphans: {table: addresses, when: nobody's, since: seen, erase_after: 1d}\n  policy:\n"+
		ordersTable+"    - {table: addresses, rows: keep}\n")
	require.Equal(t, "public.addresses", cfg.Retention.Tables[0].Table)
}
