package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
)

func carts() policy.TableRule {
	return policy.TableRule{
		Name: "abandoned", Table: "public.carts", When: "ordered_at is null", Since: "seen", EraseAfter: 14 * 24 * time.Hour,
		Children: []policy.TableChild{
			{Table: "public.cart_options", Column: "cart_id", ParentColumn: "id"},
			{Table: "public.cart_items", Column: "cart_id", ParentColumn: "id"},
		},
	}
}

// cartsDatabase fits the rule; it has a shop's usual keys.
func cartsDatabase() policy.Database {
	key := func(name, table, column, references, onDelete string) policy.ForeignKey {
		return policy.ForeignKey{Name: name, Table: table, Columns: []string{column}, References: references, Keys: []string{"id"}, OnDelete: onDelete}
	}
	return policy.Database{
		Columns: []policy.DatabaseColumn{
			with(number("public.carts", "id"), unique), number("public.carts", "customer_id"),
			{Table: "public.carts", Name: "seen", Type: "timestamp with time zone", Base: "timestamp with time zone", Family: "D"},
			number("public.cart_items", "id"), number("public.cart_items", "cart_id"),
			number("public.cart_options", "item_id"), number("public.cart_options", "cart_id"),
		},
		UniqueIndexes: []policy.UniqueIndex{{Name: "carts_pkey", Table: "public.carts", Columns: []string{"id"}, Primary: true}},
		ForeignKeys: []policy.ForeignKey{
			key("items_cart", "public.cart_items", "cart_id", "public.carts", "c"), key("options_cart", "public.cart_options", "cart_id", "public.carts", "a"),
			key("options_item", "public.cart_options", "item_id", "public.cart_items", "a"), key("items_parent", "public.cart_items", "parent_id", "public.cart_items", "c"),
			key("carts_customer", "public.carts", "customer_id", "public.customers", "c"),
		},
	}
}

func texts(problems []policy.Problem) []string {
	var list []string
	for _, p := range problems {
		list = append(list, p.String())
	}
	return list
}

func TestCartsThatFit(t *testing.T) {
	t.Parallel()
	problems, advice := carts().Check(cartsDatabase())
	require.Empty(t, problems)
	require.Empty(t, advice)
}

func TestCheckCarts(t *testing.T) {
	t.Parallel()
	column := func(d *policy.Database, table, name string) *policy.DatabaseColumn {
		for i, c := range d.Columns {
			if c.Table == table && c.Name == name {
				return &d.Columns[i]
			}
		}
		panic("no such column")
	}
	from := func(table, references, onDelete string) func(*policy.Database, *policy.TableRule) {
		return func(d *policy.Database, _ *policy.TableRule) {
			d.ForeignKeys = append(d.ForeignKeys, policy.ForeignKey{
				Name: "the_key", Table: table, Columns: []string{"ref"}, References: references, Keys: []string{"id"}, OnDelete: onDelete,
			})
		}
	}
	for name, c := range map[string]struct {
		edit              func(*policy.Database, *policy.TableRule)
		problems, advices []string
	}{
		"NoTable": {
			func(_ *policy.Database, r *policy.TableRule) { r.Table = "public.baskets" },
			[]string{"table public.baskets does not exist, or is no table"}, nil,
		},
		"NoChild": {
			func(_ *policy.Database, r *policy.TableRule) { r.Children[0].Table = "public.notes" },
			[]string{"table public.notes does not exist, or is no table"},
			[]string{"table public.carts keeps the rows to which public.cart_options.cart_id refers (by options_cart): such rows cannot be deleted",
				"table public.cart_items keeps the rows to which public.cart_options.item_id refers (by options_item): such rows cannot be deleted"},
		},
		"NoSelect": {
			func(d *policy.Database, _ *policy.TableRule) {
				for i := range d.Columns {
					d.Columns[i].NoSelect = d.Columns[i].Table == "public.cart_items"
				}
			},
			[]string{"table public.cart_items cannot be read by kvit's database role: grant select"}, nil,
		},
		"NoDelete": {
			func(d *policy.Database, _ *policy.TableRule) {
				for i := range d.Columns {
					d.Columns[i].NoDelete = true
				}
			},
			[]string{"table public.carts cannot lose rows to kvit's database role: grant delete",
				"table public.cart_options cannot lose rows to kvit's database role: grant delete",
				"table public.cart_items cannot lose rows to kvit's database role: grant delete"}, nil,
		},
		"NoUpdate": {
			func(d *policy.Database, _ *policy.TableRule) {
				for i := range d.Columns {
					d.Columns[i].NoUpdate = true
				}
			},
			[]string{"table public.carts cannot be locked row by row by kvit's database role: grant update on it, or on one of its columns"}, nil,
		},
		"UpdateOfOneColumn": {
			func(d *policy.Database, _ *policy.TableRule) {
				column(d, "public.carts", "id").NoUpdate, column(d, "public.carts", "seen").NoUpdate = true, true
			}, nil, nil,
		},
		"HiddenRows": {
			func(d *policy.Database, _ *policy.TableRule) {
				for i := range d.Columns {
					d.Columns[i].HiddenRows = d.Columns[i].Table == "public.carts"
				}
			},
			[]string{"table public.carts has row security that may hide rows from kvit's database role: grant bypassrls"}, nil,
		},
		"NoSince": {
			func(_ *policy.Database, r *policy.TableRule) { r.Since = "seen_at" },
			[]string{"column public.carts.seen_at does not exist"}, nil,
		},
		"SinceIsNoTime": {
			func(_ *policy.Database, r *policy.TableRule) { r.Since = "id" },
			[]string{"column public.carts.id is bigint and tells no time: use date, timestamp or timestamptz"}, nil,
		},
		"TimeWithoutZone": {
			func(d *policy.Database, _ *policy.TableRule) {
				column(d, "public.carts", "seen").Base = "timestamp without time zone"
			},
			[]string{"column public.carts.seen is timestamp without time zone, a time without a time zone: name the zone as retention.tables.abandoned.time_zone, such as Europe/Copenhagen or UTC"}, nil,
		},
		"TimeWithItsZone": {
			func(d *policy.Database, r *policy.TableRule) {
				column(d, "public.carts", "seen").Base, r.TimeZone = "timestamp without time zone", "Europe/Copenhagen"
			}, nil, nil,
		},
		"TwoZones": {
			func(_ *policy.Database, r *policy.TableRule) { r.TimeZone = "Europe/Copenhagen" },
			[]string{"column public.carts.seen is timestamp with time zone, a time with a time zone of its own: leave retention.tables.abandoned.time_zone out"}, nil,
		},
		"View": {
			func(d *policy.Database, _ *policy.TableRule) {
				column(d, "public.cart_items", "id").View, column(d, "public.cart_items", "cart_id").View = true, true
			},
			[]string{"table public.cart_items does not exist, or is no table"}, nil,
		},
		"Overwritten": {
			func(d *policy.Database, r *policy.TableRule) {
				r.Columns = []policy.Column{{Name: "id", Strategy: policy.Keep}, {Name: "customer_id", Strategy: policy.Null}, {Name: "seen", Strategy: policy.Keep}}
				for i := range d.Columns {
					d.Columns[i].NoDelete = d.Columns[i].Table == "public.carts"
				}
				d.ForeignKeys = append(d.ForeignKeys, policy.ForeignKey{
					Name: "the_key", Table: "public.wishes", Columns: []string{"ref"}, References: "public.carts", Keys: []string{"id"}, OnDelete: "c",
				})
			}, nil, nil,
		},
		"OverwrittenInPart": {
			func(d *policy.Database, r *policy.TableRule) {
				column(d, "public.carts", "customer_id").NoUpdate = true
				r.Columns = []policy.Column{{Name: "id", Strategy: policy.Null}, {Name: "customer_id", Strategy: policy.Null}}
			},
			[]string{
				"column public.carts.customer_id cannot be updated by kvit's database role: grant it",
				"column public.carts.seen is not named by the policy: keep it, or say how it is erased",
				"column public.carts.id is referred to by public.cart_items.cart_id: it can only be keep",
				"column public.carts.id is referred to by public.cart_options.cart_id: it can only be keep",
				"column public.carts.id is of the primary key, which tells the rows apart: it can only be keep",
			}, nil,
		},
		"NoPrimaryKey": {
			func(d *policy.Database, _ *policy.TableRule) { d.UniqueIndexes[0].Primary = false },
			[]string{"table public.carts has no primary key: its rows could not be told apart"}, nil,
		},
		"NoColumn": {
			func(_ *policy.Database, r *policy.TableRule) { r.Children[1].Column = "cart" },
			[]string{"column public.cart_items.cart does not exist, but is matched with public.carts"}, nil,
		},
		"NoCartColumn": {
			func(_ *policy.Database, r *policy.TableRule) { r.Children[1].ParentColumn = "token" },
			[]string{"column public.cart_items.cart_id is matched with public.carts.token, which does not exist"}, nil,
		},
		"CartColumnOfSeveral": {
			func(_ *policy.Database, r *policy.TableRule) { r.Children[1].ParentColumn = "customer_id" },
			[]string{"column public.cart_items.cart_id is matched with public.carts.customer_id, which has no unique index: its rows could belong to several rows there"},
			[]string{"table public.cart_items has no foreign key to public.carts: a row that the shop adds while that one is being erased stays behind"},
		},
		"OtherType": {
			func(d *policy.Database, _ *policy.TableRule) {
				*column(d, "public.cart_items", "cart_id") = text("public.cart_items", "cart_id")
			},
			[]string{"column public.cart_items.cart_id is text and cannot be compared with public.carts.id, which is bigint"}, nil,
		},
		"NoForeignKey": {
			func(d *policy.Database, _ *policy.TableRule) { d.ForeignKeys = d.ForeignKeys[1:] }, nil,
			[]string{"table public.cart_items has no foreign key to public.carts: a row that the shop adds while that one is being erased stays behind"},
		},
		"WrongOrder": {
			func(_ *policy.Database, r *policy.TableRule) {
				r.Children[0], r.Children[1] = r.Children[1], r.Children[0]
			},
			[]string{"table public.cart_items loses its rows before public.cart_options, which refers to it by options_item: name public.cart_options first"}, nil,
		},
		"CascadeFromCarts": {
			from("public.wishes", "public.carts", "c"),
			[]string{"table public.carts loses its rows, and with them go rows of public.wishes, unseen (the_key is ON DELETE CASCADE): name that table among the children, or change the key"}, nil,
		},
		"CascadeFromAChild": {
			from("public.gifts", "public.cart_items", "c"),
			[]string{"table public.cart_items loses its rows, and with them go rows of public.gifts, unseen (the_key is ON DELETE CASCADE): name that table among the children, or change the key"}, nil,
		},
		"CascadeAmongCarts": {
			from("public.carts", "public.carts", "c"),
			[]string{"table public.carts loses its rows, and with them go rows of public.carts, unseen (the_key is ON DELETE CASCADE): name that table among the children, or change the key"}, nil,
		},
		"Restrict": {
			from("public.orders", "public.carts", "r"), nil,
			[]string{"table public.carts keeps the rows to which public.orders.ref refers (by the_key): such rows cannot be deleted"},
		},
		"SetNull": {
			from("public.orders", "public.carts", "n"), nil,
			[]string{"table public.carts loses its rows, and public.orders.ref no longer refers to them (by the_key)"},
		},
		"OfOtherTables": {from("public.orders", "public.customers", "c"), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, rule := cartsDatabase(), carts()
			c.edit(&database, &rule)
			problems, advice := rule.Check(database)
			require.Equal(t, c.problems, texts(problems))
			require.Equal(t, c.advices, texts(advice))
		})
	}
}

// The hash in certificates stays the same for as long as the rule does.
func TestHashOfCarts(t *testing.T) {
	t.Parallel()
	same := carts().Hash()
	require.Equal(t, "8c8cdf36200bc2851c9c473a412f6092d19b89701eb0494137ed964d38afa802", same)
	for name, edit := range map[string]func(*policy.TableRule){
		"Name":       func(r *policy.TableRule) { r.Name = "old" },
		"Table":      func(r *policy.TableRule) { r.Table = "public.baskets" },
		"When":       func(r *policy.TableRule) { r.When = "" },
		"Since":      func(r *policy.TableRule) { r.Since = "created" },
		"EraseAfter": func(r *policy.TableRule) { r.EraseAfter = time.Second },
		"Children":   func(r *policy.TableRule) { r.Children = r.Children[:1] },
		"TimeZone":   func(r *policy.TableRule) { r.TimeZone = "UTC" },
		"Columns":    func(r *policy.TableRule) { r.Columns = []policy.Column{{Name: "id", Strategy: policy.Keep}} },
		"Child":      func(r *policy.TableRule) { r.Children[0].Column = "cart" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := carts()
			edit(&other)
			require.NotEqual(t, same, other.Hash())
		})
	}
}

func TestPolicyKnowsTablesThatAreErasedElsewhere(t *testing.T) {
	t.Parallel()
	p := rules()
	hash := p.Hash()
	d := policy.Database{ForeignKeys: []policy.ForeignKey{
		{Name: "k", Table: "public.carts", Columns: []string{"order_id"}, References: "public.orders", Keys: []string{"id"}, OnDelete: "a"},
	}}
	for _, c := range database() {
		d.Columns = append(d.Columns, c)
	}
	require.Contains(t, texts(p.Check(d)), "table public.carts is not named by the policy, but its column order_id references public.orders: name it, or keep it whole")
	p.Elsewhere = []string{"public.carts"}
	require.Empty(t, p.Check(d))
	require.Equal(t, hash, p.Hash(), "the rules have hashes of their own")
}
