package jobs

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/retention"
	"kvit/store"
	"kvit/store/storetest"
)

// randomTable is a table of a random shop, with what its policy does to it.
type randomTable struct {
	policy retention.Table
	parent int               // index of the table that it belongs to; -1: the orders table itself
	types  map[string]string // of its columns beside id, up and kvit's own
	depth  int
}

// kinds are the column policies that random columns get, and the types of the columns.
var kinds = []struct {
	sqlType string
	column  retention.Column
}{
	{"text", retention.Column{Strategy: retention.Keep}},
	{"jsonb", retention.Column{Strategy: retention.Keep}},
	{"text", retention.Column{Strategy: retention.Null}},
	{"date", retention.Column{Strategy: retention.Null}},
	{"varchar(40) not null", retention.Column{Strategy: retention.Text, Text: "erased"}},
	{"text", retention.Column{Strategy: retention.Hash}},
	{"date", retention.Column{Strategy: retention.TruncateDate, Unit: retention.Month}},
	{"timestamptz not null", retention.Column{Strategy: retention.TruncateDate, Unit: retention.Year}},
	{"varchar(60)", retention.Column{Strategy: retention.Generalise, Length: 3}},
	{"jsonb", retention.Column{Strategy: retention.JSON, Paths: []retention.Column{
		{Name: "kept", Strategy: retention.Keep}, {Name: "list[].sku", Strategy: retention.Keep}, {Name: "name", Strategy: retention.Hash},
	}}},
	{"json not null", retention.Column{Strategy: retention.JSON, Paths: []retention.Column{{Name: "deep.note", Strategy: retention.Text, Text: "erased"}}}},
}

// randomShop makes up to five tables; each but the first belongs to an earlier one.
func randomShop(random *rand.Rand) []randomTable {
	tables := []randomTable{{parent: -1}}
	for i := range random.IntN(5) {
		t := randomTable{parent: random.IntN(len(tables))}
		t.depth = tables[t.parent].depth + 1
		if t.depth > 3 {
			t.parent, t.depth = 0, 1
		}
		t.policy = retention.Table{Name: fmt.Sprintf("public.t%d", i), Match: &retention.Match{Column: "up", OrderColumn: "id"}, DeleteRows: random.IntN(4) == 0}
		if t.parent > 0 {
			t.policy.Parent = tables[t.parent].policy.Name
		}
		tables = append(tables, t)
	}
	tables[0].policy.Name = "public.orders"
	for i := range tables {
		t := &tables[i]
		t.types = map[string]string{}
		columns := []retention.Column{{Name: "id", Strategy: retention.Keep}, {Name: "up", Strategy: retention.Keep}}
		for n := range 1 + random.IntN(5) {
			kind := kinds[random.IntN(len(kinds))]
			column := kind.column
			column.Name = fmt.Sprintf("c%d", n)
			t.types[column.Name] = kind.sqlType
			columns = append(columns, column)
		}
		if !t.policy.DeleteRows {
			t.policy.Columns = columns
		}
	}
	return tables
}

func (t randomTable) create(tables []randomTable, random *rand.Rand) string {
	sql := "create table " + t.policy.Name + " (id bigint primary key, up bigint"
	// A foreign key to rows that are deleted is for rows that are deleted.
	if t.parent >= 0 && random.IntN(2) == 0 && (t.policy.DeleteRows || !tables[t.parent].policy.DeleteRows) {
		sql += " references " + tables[t.parent].policy.Name
	}
	if t.parent < 0 {
		sql += ", ref text unique, placed timestamptz, imported timestamptz, number text, erased timestamptz"
	}
	for name, sqlType := range t.types {
		sql += ", " + name + " " + sqlType
	}
	return sql + ")"
}

// values are one row's, for the order of this number (below ten): its marker, or its day of the month,
// is in everything but what is kept.
func (t randomTable) values(order int) (names, values string) {
	mark, date := fmt.Sprintf("%s-E%d-", marker, order), fmt.Sprintf("2026-03-2%d", order)
	kept := map[string]bool{}
	for _, c := range t.policy.Columns {
		kept[c.Name] = c.Strategy == retention.Keep
	}
	for name, sqlType := range t.types {
		value := mark
		switch base, _, _ := strings.Cut(sqlType, " "); {
		case kept[name] && base == "jsonb":
			value = `{"kept": "value"}`
		case kept[name]:
			value = "kept value"
		case base == "date" || base == "timestamptz":
			value = date
		case base == "json" || base == "jsonb":
			value = fmt.Sprintf(`{"kept": "value", "name": %[1]q, "list": [{"sku": "x", "text": %[1]q}, %[1]q], "deep": {"note": %[1]q, "more": %[1]q}, "other": [%[1]q]}`, mark)
		}
		names += ", " + name
		values += ", '" + value + "'"
	}
	return names, values
}

// Whatever the tables, their policies and what happens on the way: nothing of an erased order is left
// but what is kept, and nothing of the others is touched.
func TestRandomPolicies(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := &shop{t: t, db: storetest.DB(t)}
	for range 150 {
		s.randomCase(random)
	}
}

func (s *shop) randomCase(random *rand.Rand) {
	s.t.Helper()
	const orders = 6
	tables := randomShop(random)
	s.Eraser = &Eraser{
		DB: s.db, Orders: new(randomOrders()), EventsAfter: day, ReceiptsAfter: day, BatchOrders: 1 + random.IntN(4),
		HashKey: store.NewHashKey("a key of thirty-two characters.."), Logger: slog.New(slog.DiscardHandler),
	}
	for _, table := range tables {
		sql := []string{table.create(tables, random)}
		s.Policy.Tables = append(s.Policy.Tables, table.policy)
		for order := range orders {
			names, values := table.values(order)
			for copies := range 2 {
				id := order + copies*orders
				if table.parent < 0 && copies > 0 {
					continue
				}
				sql = append(sql, fmt.Sprintf("insert into %s (id, up%s) values (%d, %d%s)", table.policy.Name, names, id, order, values))
			}
		}
		s.exec(strings.Join(sql, ";"))
	}
	random.Shuffle(len(s.Policy.Tables), func(i, j int) {
		s.Policy.Tables[i], s.Policy.Tables[j] = s.Policy.Tables[j], s.Policy.Tables[i]
	})
	due := map[int]bool{}
	for order := range orders {
		due[order] = random.IntN(3) > 0
		s.exec(`update public.orders set ref = 'E' || $1::text, imported = case when $2 then now() - interval '40 days' end where id = $1::text::bigint`, fmt.Sprint(order), due[order])
	}
	before := s.dump()
	kept := s.kept(tables)

	s.forgottenColumn(random, tables)
	report, err := s.Run(s.t.Context())
	require.NoError(s.t, err, "%+v", s.Policy)

	after := s.dump()
	erased := 0
	for order := range orders {
		for _, mark := range []string{fmt.Sprintf("%s-E%d-", marker, order), fmt.Sprintf("2026-03-2%d", order)} {
			if due[order] {
				require.False(s.t, strings.Contains(after, mark), "%s is left: %+v", mark, s.Policy)
			} else {
				require.Equal(s.t, strings.Count(before, mark), strings.Count(after, mark), "%+v", s.Policy)
			}
		}
		if due[order] {
			erased++
		}
	}
	require.Equal(s.t, erased, report.Orders)
	require.Equal(s.t, kept, s.kept(tables))
	for i := len(tables) - 1; i >= 0; i-- {
		s.exec(`drop table ` + tables[i].policy.Name)
	}
}

// forgottenColumn adds a column, now and then, which an erasure finds; then somebody names it.
func (s *shop) forgottenColumn(random *rand.Rand, tables []randomTable) {
	s.t.Helper()
	table := tables[random.IntN(len(tables))].policy
	if random.IntN(2) == 0 || table.DeleteRows {
		return
	}
	s.exec(`alter table ` + table.Name + ` add column forgotten text`)
	s.exec(`update `+table.Name+` set forgotten = $1`, marker)
	report, err := s.Run(s.t.Context())
	require.ErrorContains(s.t, err, table.Name+".forgotten is not named", "%+v", s.Policy)
	require.Zero(s.t, report.Orders)
	s.exec(`update ` + table.Name + ` set forgotten = null`)
	s.name(table.Name, "forgotten", retention.Null)
}

// kept is what is in the kept columns of the tables that keep their rows.
func (s *shop) kept(tables []randomTable) (all []string) {
	s.t.Helper()
	for _, table := range tables {
		for _, c := range table.policy.Columns {
			if c.Strategy == retention.Keep {
				all = append(all, value[string](s, `select string_agg(`+c.Name+`::text, ',' order by id) from `+table.policy.Name))
			}
		}
	}
	return all
}

func randomOrders() store.Orders {
	return store.Orders{
		Table: "public.orders", Ref: "ref", PlacedAt: "placed", ImportedAt: "imported",
		ERPNumber: "number", ErasedAt: "erased", AwaitingImport: "true", EraseAfter: 30 * day,
	}
}
