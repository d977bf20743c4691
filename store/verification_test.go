package store_test

import (
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
)

// notes is a table of which each row belongs to one order: row i to order Ei.
type notes struct {
	t       testing.TB
	tx      pgx.Tx
	erasure store.TableErasure
	refs    []string
}

// notesOf makes the table with a column of the given type, which w erases, and a row a value.
func notesOf(t *testing.T, sqlType string, values []*string, w store.Write) *notes {
	t.Helper()
	tx, _ := ordersTx(t, "text")
	w.Column = "value"
	// A name of its own: the connection may remember statements about another column of another test.
	table := "public.notes_" + strings.ToLower(crand.Text())
	n := &notes{t: t, tx: tx, erasure: store.TableErasure{
		Table: table, Path: []store.Link{{Column: "order_ref", Table: "public.orders", Key: "ref"}},
		Writes: []store.Write{w}, Key: store.NewHashKey(hashSecret),
	}}
	mustExec(t, tx, `set local timezone = 'America/New_York';
		create table `+table+` (order_ref text unique, value `+sqlType+`)`)
	mustExec(t, tx, `insert into `+table+` select 'E' || i, v::`+sqlType+` from unnest($1::text[]) with ordinality x (v, i)`, values)
	mustExec(t, tx, `insert into public.orders (ref) select order_ref from `+table)
	for i := range values {
		n.refs = append(n.refs, fmt.Sprintf("E%d", i+1))
	}
	return n
}

func (n *notes) erase() {
	n.t.Helper()
	_, err := store.EraseTable(n.t.Context(), n.tx, shopOrders(), n.erasure, n.refs, time.Now())
	require.NoError(n.t, err)
}

func (n *notes) left() map[string]int64 {
	n.t.Helper()
	found, err := store.FindRemains(n.t.Context(), n.tx, shopOrders(), n.erasure, n.refs)
	require.NoError(n.t, err)
	for _, shared := range found.Shared {
		require.Zero(n.t, shared)
	}
	return found.Left
}

// texts are the values by order reference. Two documents that say the same have one text.
func (n *notes) texts() map[string]string {
	n.t.Helper()
	read := "value::text"
	if n.erasure.Writes[0].Type == "json" {
		read = "value::jsonb::text"
	}
	rows, err := n.tx.Query(n.t.Context(), `select order_ref, coalesce(`+read+`, 'null') from `+n.erasure.Table)
	require.NoError(n.t, err)
	all := map[string]string{}
	var ref, value string
	_, err = pgx.ForEachRow(rows, []any{&ref, &value}, func() error {
		all[ref] = value
		return nil
	})
	require.NoError(n.t, err)
	return all
}

// domain is one that every database has.
const domain = "information_schema.character_data"

var hashForm = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// What was just erased is never left over, however odd it was; what is put back is, unless erasing it
// would change nothing.
func TestRemainsOfRandomValues(t *testing.T) {
	t.Parallel()
	month, year := store.Write{Strategy: "truncate_date", Unit: "month"}, store.Write{Strategy: "truncate_date", Unit: "year"}
	typed := func(w store.Write, sqlType string) store.Write {
		w.Type = sqlType
		return w
	}
	three := store.Write{Strategy: "generalise", Length: 3}
	for name, c := range map[string]struct {
		sqlType string
		write   store.Write
		value   func(*rand.Rand) string
	}{
		"Null":               {"text", store.Write{Strategy: "null"}, randomText},
		"NullNumber":         {"numeric", store.Write{Strategy: "null"}, randomNumber},
		"Text":               {"text", store.Write{Strategy: "text", Text: "erased"}, randomText},
		"TextInBlanks":       {"char(90)", store.Write{Strategy: "text", Text: "erased"}, randomText},
		"TextInDomain":       {domain, store.Write{Strategy: "text", Text: ""}, randomText},
		"Hash":               {"text", store.Write{Strategy: "hash"}, randomText},
		"HashInBlanks":       {"char(90)", store.Write{Strategy: "hash"}, randomText},
		"HashInDomain":       {domain, store.Write{Strategy: "hash"}, randomText},
		"Generalise":         {"text", three, randomText},
		"GeneraliseInBlanks": {"char(90)", three, randomText},
		"GeneraliseInDomain": {domain, three, randomText},
		"Month":              {"date", typed(month, "date"), randomDate},
		"YearOfTime":         {"timestamp", typed(year, "timestamp without time zone"), randomTime},
		"MonthWithZone":      {"timestamptz", typed(month, "timestamp with time zone"), randomTime},
		"Documents":          {"jsonb", typed(store.Write{Strategy: "json", Plan: []byte(samplePlan)}, "jsonb"), randomDocument},
		"PlainDocuments":     {"json", typed(store.Write{Strategy: "json", Plan: []byte(samplePlan)}, "json"), randomDocument},
		"ListOfDocuments": {"jsonb", typed(store.Write{Strategy: "json", Plan: []byte(
			`{"items": {"members": {"a": {"strategy": "hash"}, "b": {"items": {"strategy": "generalise", "length": 2}}}}}`)}, "jsonb"), randomDocument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			values := make([]*string, 200)
			for i := range values {
				if i > 0 {
					values[i] = new(c.value(random))
				}
			}
			n := notesOf(t, c.sqlType, values, c.write)
			n.erase()
			require.Empty(t, n.left())

			mustExec(t, n.tx, `update `+n.erasure.Table+` set value = v::`+c.sqlType+` from unnest($1::text[]) with ordinality x (v, i) where order_ref = 'E' || i`, values)
			back := n.texts()
			left := n.left()
			n.erase()
			for ref, value := range n.texts() {
				// What has the form of a hash counts as hashed: beside that, a value is left if an erasure changes it.
				want := hashForm.ReplaceAllString(back[ref], "hash") != hashForm.ReplaceAllString(value, "hash")
				require.Equal(t, want, left[ref] == 1, "%s: %q became %q", ref, back[ref], value)
			}
			require.Greater(t, len(left), 20, "most values are")
			require.Empty(t, n.left())
		})
	}
}

func randomText(random *rand.Rand) string {
	switch random.IntN(8) {
	case 0:
		return ""
	case 1:
		return strings.Repeat(string("0123456789abcdefABF"[random.IntN(19)]), 63+random.IntN(3)) // a hash has 64
	case 2:
		return "erased"
	}
	var text strings.Builder
	for range random.IntN(12) {
		text.WriteString(pickOne(random, "a", "Z", "ø", "'", `"`, `\`, " ", "\n", "🜁", "%", "0"))
	}
	return text.String() + pickOne(random, "", "x")
}

func randomNumber(random *rand.Rand) string { return fmt.Sprint(random.IntN(100)) }

func randomDate(random *rand.Rand) string {
	return pickOne(random, "infinity", "-infinity", "0044-03-15 BC", "2026-03-01", "2026-01-01",
		fmt.Sprintf("%04d-%02d-%02d", 1+random.IntN(9998), 1+random.IntN(12), 1+random.IntN(28)))
}

func randomTime(random *rand.Rand) string {
	return pickOne(random, "infinity", "-infinity", "2026-03-01 00:00:00", "2026-01-01 00:00:00", "2026-03-31 23:59:59.999999",
		fmt.Sprintf("%04d-%02d-%02d %02d:00:00.%06d", 1+random.IntN(9998), 1+random.IntN(12), 1+random.IntN(28), random.IntN(24), random.IntN(1_000_000)))
}

func pickOne(random *rand.Rand, list ...string) string { return list[random.IntN(len(list))] }

const samplePlan = `{"members": {
	"a": {"strategy": "hash"}, "b": {"strategy": "generalise", "length": 2}, "c": {"strategy": "text", "text": "erased"},
	"d": {"strategy": "truncate_date", "unit": "month"}, "e": {"strategy": "null"}, "f": {"strategy": "keep"},
	"g": {"items": {"members": {"a": {"strategy": "keep"}, "b": {"strategy": "hash"}}}}, "h": {"members": {"a": {"strategy": "text"}}}}}`

func randomDocument(random *rand.Rand) string {
	text, err := json.Marshal(randomValue(random, 4))
	if err != nil {
		panic(err) // maps, lists and scalars always encode
	}
	return string(text)
}

func randomValue(random *rand.Rand, depth int) any {
	switch n := random.IntN(10); {
	case depth > 0 && n < 5:
		members := map[string]any{}
		for range random.IntN(9) {
			members[pickOne(random, "a", "b", "c", "d", "e", "f", "g", "h", "i")] = randomValue(random, depth-1)
		}
		return members
	case depth > 0 && n < 7:
		list := []any{}
		for range random.IntN(4) {
			list = append(list, randomValue(random, depth-1))
		}
		return list
	case n == 7:
		return random.IntN(3) == 0
	case n == 8:
		return random.Float64() * 1000
	case random.IntN(4) == 0:
		return nil
	default:
		return pickOne(random, randomText(random), randomDate(random))
	}
}

func TestRemainsOfTables(t *testing.T) {
	t.Parallel()
	tx, o := ordersTx(t, "text")
	mustExec(t, tx, `
		create table public.people (id text, name text);
		create table public.visits (person text, page text);
		insert into public.people values ('p1', 'Jane'), ('p2', 'Jane'), ('p3', null), (null, 'Jane');
		insert into public.visits values ('p1', 'x'), ('p1', 'y'), ('p2', 'z');
		insert into public.orders (ref, number, erased) values ('E1', 'p1', null), ('E2', 'p1', null), ('E3', 'p2', null), ('E4', 'p2', now()), ('E5', 'p3', null), ('E6', 'p4', null), (null, 'p2', now())`)
	people := store.TableErasure{
		Table: "public.people", Path: []store.Link{{Column: "id", Table: "public.orders", Key: "number"}},
		Writes: []store.Write{{Column: "name", Strategy: "null"}},
	}
	visits := store.TableErasure{
		Table: "public.visits", Path: []store.Link{{Column: "person", Table: "public.people", Key: "id"}, people.Path[0]}, DeleteRows: true,
	}
	people.Guards, visits.Guards = [][]store.Link{people.Path}, [][]store.Link{visits.Path}
	orders := store.TableErasure{Table: o.Table, Writes: []store.Write{{Column: "number", Strategy: "null"}}}
	for name, c := range map[string]struct {
		erasure store.TableErasure
		refs    []string
		want    store.Remains
	}{
		"OtherOrderNeedsIt":       {people, []string{"E1"}, store.Remains{Left: map[string]int64{"E1": 0}, Shared: map[string]int64{"E1": 1}}},
		"BothOrdersGo":            {people, []string{"E1", "E2"}, store.Remains{Left: map[string]int64{"E1": 1, "E2": 1}, Shared: map[string]int64{"E1": 0, "E2": 0}}},
		"OtherOrderIsErased":      {people, []string{"E3"}, store.Remains{Left: map[string]int64{"E3": 1}, Shared: map[string]int64{"E3": 0}}},
		"NothingThere":            {people, []string{"E5", "E6", "E9"}, store.Remains{Left: map[string]int64{}, Shared: map[string]int64{}}},
		"RowsThatShouldBeDeleted": {visits, []string{"E3", "E1"}, store.Remains{Left: map[string]int64{"E1": 0, "E3": 1}, Shared: map[string]int64{"E1": 2, "E3": 0}}},
		"OrderWithItsMark":        {orders, []string{"E4"}, store.Remains{Left: map[string]int64{"E4": 1}, Shared: map[string]int64{"E4": 0}}},
		"OrderWithoutItsMark":     {store.TableErasure{Table: o.Table}, []string{"E1", "E4"}, store.Remains{Left: map[string]int64{"E1": 1}, Shared: map[string]int64{"E1": 0}}},
	} {
		found, err := store.FindRemains(t.Context(), tx, o, c.erasure, c.refs)
		require.NoError(t, err, name)
		require.Equal(t, c.want, found, name)
	}
	_, err := store.FindRemains(t.Context(), tx, o, store.TableErasure{Table: "public.people", Path: people.Path, Writes: []store.Write{{Column: "name", Strategy: "shred"}}}, nil)
	require.ErrorContains(t, err, "verify public.people: look at column name: unknown strategy")

	for name, c := range map[string]struct {
		erasure store.TableErasure
		refs    []string
		want    map[string]int64
	}{
		"OtherOrderNeedsIt": {people, []string{"E1"}, map[string]int64{"name": 0}},
		"OnceForBoth":       {people, []string{"E1", "E2", "E3", "E5"}, map[string]int64{"name": 2}},
		"Orders":            {orders, []string{"E1", "E5", "E6", "E9"}, map[string]int64{"number": 3}},
		"NothingIsWritten":  {visits, []string{"E1"}, nil},
	} {
		counts, err := store.CountValues(t.Context(), tx, o, c.erasure, c.refs)
		require.NoError(t, err, name)
		require.Equal(t, c.want, counts, name)
	}
}

func TestEventsLeft(t *testing.T) {
	t.Parallel()
	tx, _ := ordersTx(t, "text")
	mustExec(t, tx, `
		insert into kvit.event (event_key, name, occurred_at, order_ref, payload, consent, stream) values
		    ('1', 'search', now(), 'E1', '{}', '{}', null), ('2', 'search', now(), 'E1', null, '{"a": true}', null), ('3', 'search', now(), 'E2', null, '{}', 'order:E2'),
		    ('4', 'search', now(), 'E3', null, '{}', null), ('5', 'search', now(), 'E4', '{}', '{}', null), ('6', 'search', now(), null, '{}', '{}', null)`)
	left, err := store.EventsLeft(t.Context(), tx, []string{"E1", "E2", "E3", "E9"})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"E1": 2, "E2": 1}, left)
}
