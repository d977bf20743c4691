// Package shop knows webshops that kvit meets often: how to recognise one by its tables, what of it is personal and
// how that goes, and which of its rows are tracking events. Each has a package below this one. It runs no SQL.
package shop

import (
	"regexp"
	"slices"
	"strings"
)

// Shop is what kvit knows of one kind of webshop.
type Shop struct {
	Name    string   // as people call it: "Vendure 3"
	Page    string   // of the documentation: "docs/shops/vendure.md"
	Marks   []string // "schema.table": tables that are together in no other shop
	Config  string   // a whole kvit.yaml for the shop as it is installed, see Fit
	Own     []string // "schema.table.column": columns that Config names under shop.orders, so that its policy does not
	Events  string   // SQL that makes functions and triggers which insert tracking events; it may run again
	Removal string   // SQL that takes these away
}

// Strangers are shops that kvit recognises by their tables and has nothing for, so that it can say so.
var Strangers = []Shop{
	{Name: "Saleor", Marks: []string{"public.order_order", "public.order_orderline", "public.account_user", "public.checkout_checkout"}},
	{Name: "Spree", Marks: []string{"public.spree_orders", "public.spree_line_items", "public.spree_addresses"}},
	{Name: "Sylius", Marks: []string{"public.sylius_order", "public.sylius_customer", "public.sylius_address"}},
}

// Catalog is what is in a database: the columns of each "schema.table".
type Catalog map[string][]string

// Find is the first of the shops whose tables are there; false if none of them is.
func Find(shops []Shop, c Catalog) (Shop, bool) {
	i := slices.IndexFunc(shops, func(s Shop) bool {
		return !slices.ContainsFunc(s.Marks, func(table string) bool { return c[table] == nil })
	})
	if i < 0 {
		return Shop{}, false
	}
	return shops[i], true
}

// Fit makes the configuration fit the shop that is there: tables and columns that it lacks go, and columns that it has
// besides, a shop's custom fields for instance, are left for somebody to decide on: kvit check refuses the word
// review. These are also returned, as "schema.table.column".
func (s Shop) Fit(c Catalog) (config string, review []string) {
	f := fitter{shop: s, catalog: c}
	for line := range strings.Lines(s.Config) {
		f.line(strings.TrimSuffix(line, "\n"))
	}
	f.endTable()
	return strings.Join(f.out, "\n") + "\n", f.review
}

// The lines of a configuration that say something about the shop's tables.
var (
	tableLine  = regexp.MustCompile(`^    - table: ([\w.]+)`)
	keptLine   = regexp.MustCompile(`^    - ([\w.]+)(?:\s+#.*)?$`)
	columnLine = regexp.MustCompile(`^        (\w+): `)
)

type fitter struct {
	shop    Shop
	catalog Catalog
	out     []string
	review  []string

	table string   // that the lines are about; empty: none
	named []string // its columns that the lines have named; nil: none are listed
}

func (f *fitter) line(line string) {
	if m := tableLine.FindStringSubmatch(line); m != nil {
		f.endTable()
		f.table = m[1]
	}
	if f.table != "" && line != "" && !strings.HasPrefix(line, "    ") {
		f.endTable()
	}
	if m := keptLine.FindStringSubmatch(line); len(m) > 0 && f.catalog[m[1]] == nil || f.table != "" && f.catalog[f.table] == nil {
		return
	}
	if strings.HasPrefix(line, "      columns:") && f.table != "" {
		f.named = []string{}
	}
	if m := columnLine.FindStringSubmatch(line); m != nil && f.named != nil {
		f.named = append(f.named, m[1])
		if !slices.Contains(f.catalog[f.table], m[1]) {
			return
		}
	}
	f.out = append(f.out, line)
}

// endTable asks about the columns of the table that no line has named.
func (f *fitter) endTable() {
	if f.named != nil {
		for _, column := range f.catalog[f.table] {
			name := f.table + "." + column
			if !slices.Contains(f.named, column) && !slices.Contains(f.shop.Own, name) {
				f.out = append(f.out, "        "+column+": review # not one of "+f.shop.Name+"'s own: keep it, or say how it is erased")
				f.review = append(f.review, name)
			}
		}
	}
	f.table, f.named = "", nil
}
