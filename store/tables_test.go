package store_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
)

const hashSecret = "0123456789abcdef0123456789abcdef"

// keyedHash is what Postgres must come to, made by the standard library.
func keyedHash(secret, value string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil))
}

// erased writes a value into a column of a table of one order, erases it and returns what is left, as text.
func erased(t *testing.T, outer pgx.Tx, sqlType string, value *string, w store.Write, key *store.HashKey) (*string, error) {
	t.Helper()
	o := shopOrders()
	tx, err := outer.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `set local timezone = 'America/New_York'; insert into public.orders (ref) values ('E1');
		create table public.notes (order_ref text, value `+sqlType+`)`)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `insert into public.notes values ('E1', $1::text::`+sqlType+`), ('E2', $1::text::`+sqlType+`)`, value)
	require.NoError(t, err)
	w.Column = "value"
	_, err = store.EraseTable(t.Context(), tx, o, store.TableErasure{
		Table: "public.notes", Path: []store.Link{{Column: "order_ref", Table: "public.orders", Key: "ref"}}, Writes: []store.Write{w}, Key: key,
	}, []string{"E1"}, time.Now())
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(t.Context(), `set local timezone = 'UTC'`)
	require.NoError(t, err)
	rows, _ := tx.Query(t.Context(), `select value::text from public.notes where order_ref = 'E1'`)
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[*string])
}

func TestStrategies(t *testing.T) {
	t.Parallel()
	tx, _ := ordersTx(t, "text")
	long := strings.Repeat("k", 100)
	month, year := store.Write{Strategy: "truncate_date", Unit: "month"}, store.Write{Strategy: "truncate_date", Unit: "year"}
	typed := func(w store.Write, sqlType string) store.Write {
		w.Type = sqlType
		return w
	}
	const stamp, zoned = "timestamp without time zone", "timestamp with time zone"
	for name, c := range map[string]struct {
		sqlType, value string
		write          store.Write
		want           string
	}{
		"Text":               {"varchar(9)", "Jane", store.Write{Strategy: "text", Text: "erased"}, "erased"},
		"Hash":               {"text", "Jane Døe", store.Write{Strategy: "hash"}, keyedHash(hashSecret, "Jane Døe")},
		"HashOfEmpty":        {"text", "", store.Write{Strategy: "hash"}, keyedHash(hashSecret, "")},
		"HashOfHash":         {"varchar(64)", strings.Repeat("a", 64), store.Write{Strategy: "hash"}, keyedHash(hashSecret, strings.Repeat("a", 64))},
		"HashPadded":         {"char(70)", "Jane", store.Write{Strategy: "hash"}, keyedHash(hashSecret, "Jane")},
		"Month":              {"date", "2026-03-31", typed(month, "date"), "2026-03-01"},
		"Year":               {"date", "2026-03-31", typed(year, "date"), "2026-01-01"},
		"MonthOfTime":        {"timestamp", "2026-03-31 23:59", typed(month, stamp), "2026-03-01 00:00:00"},
		"MonthInUTC":         {"timestamptz", "2026-03-31 23:00:00-05", typed(month, zoned), "2026-04-01 00:00:00+00"},
		"YearInUTC":          {"timestamptz", "2026-12-31 23:00:00-05", typed(year, zoned), "2027-01-01 00:00:00+00"},
		"Infinity":           {"timestamptz", "infinity", typed(month, zoned), "infinity"},
		"Generalise":         {"text", "2100", store.Write{Strategy: "generalise", Length: 2}, "21"},
		"GeneraliseLetters":  {"varchar(5)", "æøå", store.Write{Strategy: "generalise", Length: 2}, "æø"},
		"GeneraliseTheShort": {"text", "2", store.Write{Strategy: "generalise", Length: 2}, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := erased(t, tx, c.sqlType, &c.value, c.write, store.NewHashKey(hashSecret))
			require.NoError(t, err)
			require.Equal(t, c.want, strings.TrimRight(*got, " "))
			if c.write.Strategy == "text" {
				return
			}
			none, err := erased(t, tx, c.sqlType, nil, c.write, store.NewHashKey(hashSecret))
			require.NoError(t, err)
			require.Nil(t, none, "null stays null")
		})
	}
	t.Run("Null", func(t *testing.T) {
		got, err := erased(t, tx, "numeric", new("5"), store.Write{Strategy: "null"}, nil)
		require.NoError(t, err)
		require.Nil(t, got)
	})
	t.Run("LongKey", func(t *testing.T) {
		got, err := erased(t, tx, "text", new("Jane"), store.Write{Strategy: "hash"}, store.NewHashKey(long))
		require.NoError(t, err)
		require.Equal(t, keyedHash(long, "Jane"), *got)
	})
	t.Run("OtherKey", func(t *testing.T) {
		got, err := erased(t, tx, "text", new("Jane"), store.Write{Strategy: "hash"}, store.NewHashKey(hashSecret+"x"))
		require.NoError(t, err)
		require.NotEqual(t, keyedHash(hashSecret, "Jane"), *got)
	})
	t.Run("NoKey", func(t *testing.T) {
		_, err := erased(t, tx, "text", new("Jane"), store.Write{Strategy: "hash"}, nil)
		require.ErrorContains(t, err, "no key to hash with")
	})
	t.Run("Unknown", func(t *testing.T) {
		_, err := erased(t, tx, "text", new("Jane"), store.Write{Strategy: "shred"}, nil)
		require.ErrorContains(t, err, "unknown strategy")
	})
}

func TestJSONStrategy(t *testing.T) {
	t.Parallel()
	tx, _ := ordersTx(t, "text")
	jane := keyedHash(hashSecret, "Jane")
	for name, c := range map[string]struct{ document, plan, want string }{
		"Unnamed":         {`{"a": 1, "b": 2}`, `{"members": {"a": {"strategy": "keep"}}}`, `{"a": 1}`},
		"KeepsBranches":   {`{"a": {"b": [1, {"c": 2}]}}`, `{"members": {"a": {"strategy": "keep"}}}`, `{"a": {"b": [1, {"c": 2}]}}`},
		"Deep":            {`{"a": {"b": 1, "c": 2}}`, `{"members": {"a": {"members": {"b": {"strategy": "keep"}}}}}`, `{"a": {"b": 1}}`},
		"Items":           {`{"i": [{"sku": "x", "name": "Jane"}, {"name": "Jane"}, "Jane", [1]]}`, `{"members": {"i": {"items": {"members": {"sku": {"strategy": "keep"}}}}}}`, `{"i": [{"sku": "x"}, {}]}`},
		"List":            {`[{"a": 1, "b": 2}, 3]`, `{"items": {"members": {"a": {"strategy": "keep"}}}}`, `[{"a": 1}]`},
		"NoneOfIt":        {`{"b": 2}`, `{"members": {"a": {"strategy": "keep"}}}`, `{}`},
		"ListForObject":   {`["Jane"]`, `{"members": {"a": {"strategy": "keep"}}}`, `{}`},
		"ObjectForList":   {`{"a": "Jane"}`, `{"items": {"strategy": "keep"}}`, `[]`},
		"TextForObject":   {`{"a": "Jane"}`, `{"members": {"a": {"members": {"b": {"strategy": "keep"}}}}}`, `{}`},
		"ScalarDocument":  {`"Jane"`, `{"members": {"a": {"strategy": "keep"}}}`, `{}`},
		"Null":            {`{"a": "Jane"}`, `{"members": {"a": {"strategy": "null"}}}`, `{"a": null}`},
		"NullIsThere":     {`{"a": null}`, `{"members": {"a": {"members": {"b": {"strategy": "hash"}}}}}`, `{"a": null}`},
		"Text":            {`{"a": {"b": "Jane"}, "c": null}`, `{"members": {"a": {"strategy": "text", "text": "erased"}, "c": {"strategy": "text", "text": "erased"}}}`, `{"a": "erased", "c": "erased"}`},
		"TextOfNothing":   {`{"b": "Jane"}`, `{"members": {"a": {"strategy": "text", "text": "erased"}}}`, `{}`},
		"EmptyText":       {`{"a": "Jane"}`, `{"members": {"a": {"strategy": "text"}}}`, `{"a": ""}`},
		"Hash":            {`{"a": "Jane", "b": null}`, `{"members": {"a": {"strategy": "hash"}, "b": {"strategy": "hash"}}}`, `{"a": "` + jane + `", "b": null}`},
		"HashOfNumber":    {`{"a": 5}`, `{"members": {"a": {"strategy": "hash"}}}`, `{"a": "` + keyedHash(hashSecret, "5") + `"}`},
		"Generalise":      {`{"a": "2100", "b": 2100, "c": {"d": 1}, "e": true}`, `{"members": {"a": {"strategy": "generalise", "length": 2}, "b": {"strategy": "generalise", "length": 3}, "c": {"strategy": "generalise", "length": 2}, "e": {"strategy": "generalise", "length": 2}}}`, `{"a": "21", "b": "210", "c": null, "e": null}`},
		"Month":           {`{"a": "2026-03-31T23:00:00Z", "b": "2026-03", "c": "31.3.2026", "d": 1774998000}`, `{"members": {"a": {"strategy": "truncate_date", "unit": "month"}, "b": {"strategy": "truncate_date", "unit": "month"}, "c": {"strategy": "truncate_date", "unit": "month"}, "d": {"strategy": "truncate_date", "unit": "month"}}}`, `{"a": "2026-03-01", "b": "2026-03-01", "c": null, "d": null}`},
		"Year":            {`{"a": "2026-03-31"}`, `{"members": {"a": {"strategy": "truncate_date", "unit": "year"}}}`, `{"a": "2026-01-01"}`},
		"UnknownStrategy": {`{"a": "Jane"}`, `{"members": {"a": {"strategy": "shred"}}}`, `{"a": null}`},
		"EmptyPlan":       {`{"a": "Jane"}`, `{}`, `null`},
	} {
		for _, sqlType := range []string{"json", "jsonb"} {
			t.Run(name+sqlType, func(t *testing.T) {
				w := store.Write{Strategy: "json", Type: sqlType, Plan: []byte(c.plan)}
				got, err := erased(t, tx, sqlType, &c.document, w, store.NewHashKey(hashSecret))
				require.NoError(t, err)
				require.JSONEq(t, c.want, *got)
				none, err := erased(t, tx, sqlType, nil, w, nil)
				require.NoError(t, err)
				require.Nil(t, none)
			})
		}
	}
}

// A row of which one order was erased before may be erased again with another: its hash stays.
func TestSharedRowIsHashedOnce(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{
		"Erased":   `update public.orders set erased = now() where ref = 'E1'`,
		"Progress": `insert into kvit.erasure_progress (order_ref, tables) values ('E1', '{"public.people": 1}')`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx, o := ordersTx(t, "text")
			_, err := tx.Exec(t.Context(), `
				create table public.people (id text, name text, extra jsonb);
				insert into public.people values ('SO-1', 'Jane', '{"a": "Jane"}');
				insert into public.orders (ref, number) values ('E1', 'SO-1'), ('E2', 'SO-1')`)
			require.NoError(t, err)
			erase := func(refs ...string) string {
				path := []store.Link{{Column: "id", Table: "public.orders", Key: "number"}}
				_, err = store.EraseTable(t.Context(), tx, o, store.TableErasure{
					Table: "public.people", Path: path, Guards: [][]store.Link{path},
					Writes: []store.Write{{Column: "name", Strategy: "hash"}, {Column: "extra", Strategy: "json", Type: "jsonb", Plan: []byte(`{"members": {"a": {"strategy": "hash"}}}`)}},
					Key:    store.NewHashKey(hashSecret),
				}, refs, time.Now())
				require.NoError(t, err)
				rows, _ := tx.Query(t.Context(), `select name || ' ' || (extra ->> 'a') from public.people`)
				got, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
				require.NoError(t, err)
				return got
			}
			hash := keyedHash(hashSecret, "Jane")
			require.Equal(t, "Jane Jane", erase("E1"), "E2 still needs it")
			_, err = tx.Exec(t.Context(), before)
			require.NoError(t, err)
			require.Equal(t, hash+" "+hash, erase("E2"))
			_, err = tx.Exec(t.Context(), `insert into public.orders (ref, number) values ('E3', 'SO-1'); update public.orders set erased = now() where ref = 'E2'`)
			require.NoError(t, err)
			require.Equal(t, hash+" "+hash, erase("E3"), "hashed already")
			_, err = tx.Exec(t.Context(), `update public.people set name = 'Ann'`)
			require.NoError(t, err)
			require.Equal(t, keyedHash(hashSecret, "Ann")+" "+hash, erase("E3"), "written anew since")
		})
	}
}

func TestReferencesAndUniqueIndexes(t *testing.T) {
	t.Parallel()
	tx, _ := ordersTx(t, "text")
	_, err := tx.Exec(t.Context(), `
		create table public.shops (id int primary key);
		create table public.sales (id int, part int, shop int references public.shops, mail text, code text, gone text, primary key (id, part)) partition by range (part);
		create table public.sales_1 partition of public.sales for values from (1) to (2);
		create table public.lines (sale int, part int, foreign key (sale, part) references public.sales (id, part) on delete cascade, no int primary key);
		create table public.notes (line int references public.lines);
		create table public.staff (shop int references public.shops);
		create unique index mails on public.shops (id);
		create unique index code_of_mail on public.sales (part, lower(mail), code);
		create unique index wide on public.lines (no) include (sale)`)
	require.NoError(t, err)
	references, err := store.References(t.Context(), tx)
	require.NoError(t, err)
	require.Equal(t, []store.Reference{
		{Name: "lines_sale_part_fkey", Table: "public.lines", Columns: []string{"sale", "part"}, References: "public.sales", Keys: []string{"id", "part"}, OnDelete: "c"},
		{Name: "notes_line_fkey", Table: "public.notes", Columns: []string{"line"}, References: "public.lines", Keys: []string{"no"}, OnDelete: "a"},
		{Name: "sales_shop_fkey", Table: "public.sales", Columns: []string{"shop"}, References: "public.shops", Keys: []string{"id"}, OnDelete: "a"},
		{Name: "staff_shop_fkey", Table: "public.staff", Columns: []string{"shop"}, References: "public.shops", Keys: []string{"id"}, OnDelete: "a"},
	}, references)
	indexes, err := store.UniqueIndexes(t.Context(), tx, []string{"public.sales", "public.lines"})
	require.NoError(t, err)
	require.Equal(t, []store.UniqueIndex{
		{Name: "lines_pkey", Table: "public.lines", Columns: []string{"no"}, Primary: true},
		{Name: "wide", Table: "public.lines", Columns: []string{"no"}},
		{Name: "code_of_mail", Table: "public.sales", Columns: []string{"part", "mail", "code"}},
		{Name: "sales_pkey", Table: "public.sales", Columns: []string{"id", "part"}, Primary: true},
	}, indexes)
}
