package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// catalog makes tables and describes those that belong to public.orders, by name.
func catalog(t *testing.T, tx pgx.Tx, schema string, more ...string) (names []string, tables map[string]store.CatalogTable) {
	t.Helper()
	_, err := tx.Exec(t.Context(), schema)
	require.NoError(t, err)
	list, err := store.RelatedTables(t.Context(), tx, "public.orders", more, 3)
	require.NoError(t, err)
	tables = map[string]store.CatalogTable{}
	for _, table := range list {
		names = append(names, table.Name)
		tables[table.Name] = table
	}
	return names, tables
}

func TestRelatedTables(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	names, tables := catalog(t, tx, `
		create schema "Odd";
		create table public.orders (id bigint primary key, previous bigint references public.orders, unique (id, previous));
		create table public.lines (id bigint primary key, order_id bigint references public.orders);
		create table "Odd"."Gift wrap" (id bigint primary key, line_id bigint references public.lines);
		create table public.cards (id bigint primary key, wrap_id bigint references "Odd"."Gift wrap");
		create table public.stamps (card_id bigint references public.cards);
		create table public.pairs (b bigint, a bigint, foreign key (b, a) references public.orders (id, previous));
		create table public.products (id bigint primary key);
		create table public.people (id bigint primary key);
		create table public.wishes (people_id bigint references public.people)`, "public.people")
	require.Equal(t, []string{
		"public.orders", "public.lines", "public.pairs", "public.people", "Odd.Gift wrap", "public.wishes", "public.cards",
	}, names, "three keys away at most, and nothing unrelated")
	require.Equal(t, []store.CatalogKey{
		{Table: "public.pairs", Columns: []string{"b", "a"}, Other: "public.orders", OtherColumns: []string{"id", "previous"}},
	}, tables["public.pairs"].Keys)
	require.Equal(t, []store.CatalogKey{
		{Table: "public.cards", Columns: []string{"wrap_id"}, Other: "Odd.Gift wrap", OtherColumns: []string{"id"}},
	}, tables["public.cards"].Keys)
	require.Len(t, tables["Odd.Gift wrap"].Columns, 2)
}

func TestRelatedTablesNamesAPartitionedTableOnce(t *testing.T) {
	t.Parallel()
	names, tables := catalog(t, storetest.Tx(t), `
		create table public.orders (id bigint primary key) partition by range (id);
		create table public.orders_1 partition of public.orders for values from (0) to (9);
		create table public.lines (order_id bigint references public.orders) partition by range (order_id);
		create table public.lines_1 partition of public.lines for values from (0) to (9)`)
	require.Equal(t, []string{"public.orders", "public.lines"}, names)
	require.Len(t, tables["public.lines"].Keys, 1)
}

func TestRelatedTablesOfNothing(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	_, err := tx.Exec(t.Context(), `create table public.orders (id bigint); create view public.seen as select * from public.orders`)
	require.NoError(t, err)
	for _, name := range []string{"public.none", "none.none", "public.seen"} {
		_, err = store.RelatedTables(t.Context(), tx, "public.orders", []string{name}, 3)
		require.EqualError(t, err, "table "+name+" does not exist, or is no table")
	}
}

func TestCatalogColumns(t *testing.T) {
	t.Parallel()
	_, tables := catalog(t, storetest.Tx(t), `
		create domain public.short as varchar(7) not null check (value <> '');
		create type public.mood as enum ('good');
		create table public.orders (
		    id     bigint generated always as identity primary key,
		    half   text generated always as (left('whole', 2)) stored,
		    number varchar(40) not null unique,
		    mail   text,
		    shop   integer,
		    login  text,
		    code   public.short,
		    mood   public.mood,
		    ip     inet,
		    cart   jsonb,
		    gone   text,
		    total  numeric(10, 2) check (total > 0),
		    seen   text,
		    unique (mail, shop)
		);
		alter table public.orders drop column gone;
		create unique index on public.orders (lower(login));
		create index on public.orders (seen);
		create table public.lines (number text references public.orders (number))`)
	const table = "public.orders"
	require.Equal(t, []store.CatalogColumn{
		{Table: table, Name: "id", Type: "bigint", Base: "int8", Family: "N", NotNull: true, Generated: true, PrimaryKey: true, Unique: true},
		{Table: table, Name: "half", Type: "text", Base: "text", Family: "S", Generated: true},
		{Table: table, Name: "number", Type: "character varying(40)", Base: "varchar", Family: "S", NotNull: true, Unique: true, Referenced: true, MaxLength: 40},
		{Table: table, Name: "mail", Type: "text", Base: "text", Family: "S", Unique: true},
		{Table: table, Name: "shop", Type: "integer", Base: "int4", Family: "N", Unique: true},
		{Table: table, Name: "login", Type: "text", Base: "text", Family: "S", Unique: true},
		{Table: table, Name: "code", Type: "short", Base: "varchar", Family: "S", NotNull: true, Checked: true, MaxLength: 7},
		{Table: table, Name: "mood", Type: "mood", Base: "mood", Family: "E"},
		{Table: table, Name: "ip", Type: "inet", Base: "inet", Family: "I"},
		{Table: table, Name: "cart", Type: "jsonb", Base: "jsonb", Family: "U"},
		{Table: table, Name: "total", Type: "numeric(10,2)", Base: "numeric", Family: "N", Checked: true},
		{Table: table, Name: "seen", Type: "text", Base: "text", Family: "S"},
	}, tables[table].Columns)
}

// A first policy is drafted before kvit has any right on the shop's tables.
func TestRelatedTablesNeedNoRights(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	names, _ := catalog(t, tx, `
		create role kvit_test_nobody nologin;
		create table public.orders (id bigint primary key, email text);
		create table public.lines (order_id bigint references public.orders);
		revoke all on public.orders, public.lines from public;
		set local role kvit_test_nobody`)
	require.Equal(t, []string{"public.orders", "public.lines"}, names)
}
