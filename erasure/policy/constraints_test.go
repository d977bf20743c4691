package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
)

func TestForeignKeys(t *testing.T) {
	t.Parallel()
	key := func(table, column, references, toColumn, onDelete string) policy.ForeignKey {
		return policy.ForeignKey{Name: "k", Table: table, Columns: []string{column}, References: references, Keys: []string{toColumn}, OnDelete: onDelete}
	}
	for name, c := range map[string]struct {
		key    policy.ForeignKey
		change func(*policy.Policy)
		want   []string
	}{
		"TextThatRefers": {key("public.orders", "email", "public.people", "email", "a"), nil,
			[]string{
				"column public.orders.email refers to public.people by k: it can only be keep or null",
				"table public.people is not named by the policy, but public.orders.email references it: name it, or keep it whole",
			}},
		"NullThatRefers": {key("public.orders", "name", "public.lines", "name", "a"), func(p *policy.Policy) {
			p.Tables[1] = policy.Table{Name: "public.lines", KeepRows: true}
		}, nil},
		"ReferredTo": {key("public.audit", "order_ref", "public.orders", "name", "a"), nil,
			[]string{"column public.orders.name is referred to by public.audit.order_ref: it can only be keep"}},
		"KeptAndReferredTo": {key("public.audit", "order_ref", "public.orders", "id", "a"), nil, nil},
		"DeletedAndReferredTo": {key("public.audit", "order_ref", "public.lines", "id", "a"), nil,
			[]string{"table public.lines loses its rows, but public.audit.order_ref refers to them by k: delete those rows too, or set the column to null"}},
		"DeletedAndReferredToByNulls": {key("public.payments", "holder", "public.lines", "id", "r"), func(p *policy.Policy) {
			p.Tables[2].IgnoreKeys = []string{"holder"}
		}, nil},
		"DeletedAndSetNull": {key("public.audit", "order_ref", "public.lines", "id", "n"), nil, nil},
		"DeletedWithKeptRows": {key("public.audit", "order_ref", "public.lines", "id", "c"), nil,
			[]string{"table public.lines loses its rows, and with them go rows of public.audit, which the policy keeps (k is ON DELETE CASCADE)"}},
		"DeletedWithDeletedRows": {key("public.audit", "order_ref", "public.lines", "id", "c"),
			func(p *policy.Policy) { p.Tables[3].DeleteRows, p.Tables[3].Columns = true, nil }, nil},
		"UnnamedTable": {key("public.refunds", "payment", "public.payments", "id", "a"), nil,
			[]string{"table public.refunds is not named by the policy, but its column payment references public.payments: name it, or keep it whole"}},
		"KnownTable": {key("public.refunds", "payment", "public.payments", "id", "a"),
			func(p *policy.Policy) { p.Tables[3] = policy.Table{Name: "public.refunds", KeepRows: true} },
			[]string{"table public.refunds does not exist, or is no table"}},
		"RefersToWhatIsKeptWhole": {key("public.reviews", "product", "public.payments", "id", "a"),
			func(p *policy.Policy) {
				p.Tables[2] = policy.Table{Name: "public.payments", KeepRows: true}
			}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := rules()
			if c.change != nil {
				c.change(&p)
			}
			requireProblems(t, c.want, p.Check(policy.Database{Columns: list(database()), ForeignKeys: []policy.ForeignKey{c.key}}))
		})
	}
}

// A table that refers to one that refers to an order holds something of the order, too.
func TestUnnamedTableBehindAnother(t *testing.T) {
	t.Parallel()
	keys := []policy.ForeignKey{
		{Table: "public.labels", Columns: []string{"parcel"}, References: "public.parcels"},
		{Table: "public.parcels", Columns: []string{"order_id"}, References: "public.orders"},
		{Table: "public.orders", Columns: []string{"shop"}, References: "public.shops"},
		{Table: "public.staff", Columns: []string{"shop"}, References: "public.shops"},
	}
	requireProblems(t, []string{
		"table public.shops is not named by the policy, but public.orders.shop references it: name it, or keep it whole",
		"table public.labels is not named by the policy, but its column parcel references public.parcels: name it, or keep it whole",
		"table public.parcels is not named by the policy, but its column order_id references public.orders: name it, or keep it whole",
	}, rules().Check(policy.Database{Columns: list(database()), ForeignKeys: keys}))
}

func TestUniqueIndexes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		columns    []string
		nullsEqual bool
		strategy   policy.Strategy // of public.orders.email; public.orders.name is null
		column     string          // with a problem
	}{
		"Text":                     {[]string{"email"}, false, policy.Text, "email"},
		"Generalise":               {[]string{"email"}, false, policy.Generalise, "email"},
		"Hash":                     {[]string{"email"}, false, policy.Hash, ""},
		"Null":                     {[]string{"name"}, false, policy.Text, ""},
		"NullsThatCountAsEqual":    {[]string{"name"}, true, policy.Text, "name"},
		"TextBesideKept":           {[]string{"placed", "email"}, false, policy.Text, "email"},
		"TextBesideKeptAndUnique":  {[]string{"id", "email"}, false, policy.Text, ""},
		"TextBesideNull":           {[]string{"email", "name"}, false, policy.Text, ""},
		"TextBesideNullThatCounts": {[]string{"email", "name"}, true, policy.Text, "email"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := rules()
			p.Tables[0].Columns[2] = policy.Column{Name: "email", Strategy: c.strategy, Text: "x", Length: 2}
			var want []string
			if c.column != "" {
				want = []string{"column public.orders." + c.column + " is in the unique index one: two rows could become equal in it, use null or hash"}
			}
			index := policy.UniqueIndex{Name: "one", Table: "public.orders", Columns: c.columns, NullsEqual: c.nullsEqual}
			requireProblems(t, want, p.Check(policy.Database{Columns: list(database()), UniqueIndexes: []policy.UniqueIndex{index}}))
		})
	}
}

func requireProblems(t *testing.T, want []string, problems []policy.Problem) {
	t.Helper()
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	require.ElementsMatch(t, want, got)
}

// A path of the configuration becomes a plan that the database can follow, whatever is in it.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{"a", "a.b", "items[].sku", "[].a", "a[][]", "a..b", "a[", "[]b", "", ".", "\x00"} {
		f.Add(path, "a.b")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		p := rules()
		found := database()
		found["public.orders.name"] = policy.DatabaseColumn{Table: "public.orders", Name: "name", Type: "jsonb", Base: "jsonb"}
		p.Tables[0].Columns[1] = policy.Column{Name: "name", Strategy: policy.JSON, Paths: []policy.Column{
			{Name: one, Strategy: policy.Keep}, {Name: two, Strategy: policy.Keep},
		}}
		_ = p.Check(policy.Database{Columns: list(found)})
		erasures := p.Erasures(policy.Database{Columns: list(found)})
		require.NotEmpty(t, erasures[len(erasures)-1].Writes[0].Plan)
	})
}

// twoAddresses is a policy whose orders refer twice to a table of addresses, and the keys that say so.
func twoAddresses() (policy.Policy, policy.Database) {
	p := rules()
	p.Tables[0].Columns = append(p.Tables[0].Columns, policy.Column{Name: "billing", Strategy: policy.Keep}, policy.Column{Name: "shipping", Strategy: policy.Keep})
	p.Tables = append(p.Tables, policy.Table{Name: "public.addresses", Match: &policy.Match{Column: "id", OrderColumn: "billing"}, DeleteRows: true})
	found := append(list(database()), number("public.orders", "billing"), number("public.orders", "shipping"), with(number("public.addresses", "id"), unique))
	return p, policy.Database{Columns: found, ForeignKeys: []policy.ForeignKey{
		{Name: "bill", Table: "public.orders", Columns: []string{"billing"}, References: "public.addresses", Keys: []string{"id"}, OnDelete: "n"},
		{Name: "ship", Table: "public.orders", Columns: []string{"shipping"}, References: "public.addresses", Keys: []string{"id"}, OnDelete: "n"},
	}}
}

// The second address of an order is a copy that nobody erases.
func TestASecondKeyThatNoWayUses(t *testing.T) {
	t.Parallel()
	p, database := twoAddresses()
	requireProblems(t, []string{
		"table public.addresses has rows to which public.orders.shipping refers (ship), and no way of the policy goes by that key: add one, or name it in ignore_keys of public.orders",
	}, p.Check(database))

	ignoring, _ := twoAddresses()
	ignoring.Tables[0].IgnoreKeys = []string{"shipping"}
	requireProblems(t, nil, ignoring.Check(database))

	p.Tables = append(p.Tables, policy.Table{Name: "public.addresses", Match: &policy.Match{Column: "id", OrderColumn: "shipping"}, DeleteRows: true})
	requireProblems(t, nil, p.Check(database))
}

// An address that a live order refers to stays, also where the policy knows nothing of that key.
func TestKeysThatWouldBeCutAreGuards(t *testing.T) {
	t.Parallel()
	p, database := twoAddresses()
	erasures := p.Erasures(database)
	i := slices.IndexFunc(erasures, func(e policy.TableErasure) bool { return e.Table == "public.addresses" })
	by := func(key string) []policy.Link { return []policy.Link{{Column: "id", Table: "public.orders", Key: key}} }
	require.Equal(t, [][]policy.Link{by("billing"), by("shipping")}, erasures[i].Guards)
}

// entries is a policy of a table whose rows belong to an order or to its customer.
func entries() (policy.Policy, policy.Database) {
	p := rules()
	p.Tables[0].Columns = append(p.Tables[0].Columns, policy.Column{Name: "customer", Strategy: policy.Keep})
	p.Tables = append(p.Tables,
		policy.Table{Name: "public.customers", Match: &policy.Match{Column: "id", OrderColumn: "customer"}, DeleteRows: true},
		policy.Table{Name: "public.entries", Match: &policy.Match{Column: "order_id", OrderColumn: "id"}, DeleteRows: true},
	)
	found := append(list(database()), number("public.orders", "customer"), with(number("public.customers", "id"), unique),
		number("public.entries", "order_id"), number("public.entries", "customer_id"))
	return p, policy.Database{Columns: found, ForeignKeys: []policy.ForeignKey{
		{Name: "buyer", Table: "public.orders", Columns: []string{"customer"}, References: "public.customers", Keys: []string{"id"}},
		{Name: "of_order", Table: "public.entries", Columns: []string{"order_id"}, References: "public.orders", Keys: []string{"id"}},
		{Name: "of_customer", Table: "public.entries", Columns: []string{"customer_id"}, References: "public.customers", Keys: []string{"id"}},
	}}
}

func TestATableOfTwoKindsOfRows(t *testing.T) {
	t.Parallel()
	p, database := entries()
	requireProblems(t, []string{
		"column public.entries.customer_id refers to public.customers (of_customer), and no way of the policy goes by that key: add one, or name it in ignore_keys of public.entries",
	}, p.Check(database))

	p.Tables = append(p.Tables, policy.Table{Name: "public.entries", Parent: "public.customers", Match: &policy.Match{Column: "customer_id", OrderColumn: "id"}, DeleteRows: true})
	requireProblems(t, nil, p.Check(database))
	var paths [][]policy.Link
	for _, e := range p.Erasures(database) {
		if e.Table == "public.entries" {
			paths = append(paths, e.Path)
		}
	}
	require.Len(t, paths, 2)
	require.Equal(t, "customer", paths[1][1].Key)
}

// A user is no customer, however alike the columns are called.
func TestAMatchOfKeysToDifferentTables(t *testing.T) {
	t.Parallel()
	const differ = "column public.logins.%s is a key to %s, and is matched with public.orders.%s, which is one to %s: they name different things"
	for name, c := range map[string]struct {
		match policy.Match
		want  []string
	}{
		"KeysToTwoTables": {policy.Match{Column: "user_id", OrderColumn: "customer"},
			[]string{fmt.Sprintf(differ, "user_id", "public.users", "customer", "public.customers")}},
		"KeyAndTheOrdersOwn": {policy.Match{Column: "user_id", OrderColumn: "id"},
			[]string{fmt.Sprintf(differ, "user_id", "public.users", "id", "public.orders")}},
		"OwnKeyAndKey": {policy.Match{Column: "id", OrderColumn: "customer"},
			[]string{fmt.Sprintf(differ, "id", "public.logins", "customer", "public.customers")}},
		"SameKey":          {policy.Match{Column: "customer_id", OrderColumn: "customer"}, nil},
		"SameKeyByAnother": {policy.Match{Column: "guest_id", OrderColumn: "customer"}, nil},
		"NoKey":            {policy.Match{Column: "plain", OrderColumn: "customer"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, database := entries()
			p.Tables = append(p.Tables, policy.Table{Name: "public.users", KeepRows: true}, policy.Table{Name: "public.guests", KeepRows: true},
				policy.Table{Name: "public.entries", Parent: "public.customers", Match: &policy.Match{Column: "customer_id", OrderColumn: "id"}, DeleteRows: true},
				policy.Table{Name: "public.logins", Match: &c.match, DeleteRows: true, IgnoreKeys: []string{"customer_id"}})
			for _, column := range []string{"user_id", "customer_id", "guest_id", "plain"} {
				database.Columns = append(database.Columns, number("public.logins", column))
			}
			database.Columns = append(database.Columns, with(number("public.logins", "id"), unique), number("public.users", "id"), number("public.guests", "id"))
			key := func(table, column, to string) policy.ForeignKey {
				return policy.ForeignKey{Name: "k", Table: table, Columns: []string{column}, References: to, Keys: []string{"id"}}
			}
			database.ForeignKeys = append(database.ForeignKeys, key("public.logins", "user_id", "public.users"),
				key("public.logins", "customer_id", "public.customers"), key("public.logins", "guest_id", "public.guests"), key("public.guests", "id", "public.customers"))
			for _, table := range []string{"public.logins", "public.orders"} {
				database.UniqueIndexes = append(database.UniqueIndexes, policy.UniqueIndex{Name: "pk", Table: table, Columns: []string{"id"}, Primary: true})
			}
			requireProblems(t, c.want, p.Check(database))
		})
	}
}
