package policy_test

import (
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
			[]string{"column public.orders.email refers to public.people by k: it can only be keep or null"}},
		"NullThatRefers": {key("public.orders", "name", "public.people", "name", "a"), nil, nil},
		"ReferredTo": {key("public.audit", "order_ref", "public.orders", "name", "a"), nil,
			[]string{"column public.orders.name is referred to by public.audit.order_ref: it can only be keep"}},
		"KeptAndReferredTo": {key("public.audit", "order_ref", "public.orders", "id", "a"), nil, nil},
		"DeletedAndReferredTo": {key("public.audit", "order_ref", "public.lines", "id", "a"), nil,
			[]string{"table public.lines loses its rows, but public.audit.order_ref refers to them by k: delete those rows too, or set the column to null"}},
		"DeletedAndReferredToByNulls": {key("public.payments", "holder", "public.lines", "id", "r"), nil, nil},
		"DeletedAndSetNull":           {key("public.audit", "order_ref", "public.lines", "id", "n"), nil, nil},
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
