package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// placeOf finds a table among the places.
func placeOf(t *testing.T, db store.DB, table string) store.SearchPlace {
	t.Helper()
	places, _, err := store.SearchPlaces(t.Context(), db)
	require.NoError(t, err)
	for _, p := range places {
		if p.Table == table {
			return p
		}
	}
	require.Fail(t, "no such place", table)
	return store.SearchPlace{}
}

func TestSearchPlaces(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		create schema "Odd schema";
		create table "Odd schema"."Odd.table" ("a b" text, n integer, at timestamptz, mood text[], ids bigint[], doc jsonb);
		create table public.numbers (id bigint, ip inet, day date);
		create view public.seen as select * from "Odd schema"."Odd.table";
		create table public.parent (note text); create table public.child (more text) inherits (public.parent)`)
	place := placeOf(t, tx, "Odd schema.Odd.table")
	var names []string
	for _, c := range place.Columns {
		names = append(names, c.Name)
	}
	require.Equal(t, []string{"a b", "mood", "doc"}, names)
	places, _, err := store.SearchPlaces(t.Context(), tx)
	require.NoError(t, err)
	for _, p := range places {
		require.NotContains(t, []string{"public.numbers", "public.seen"}, p.Table)
	}
	mustExec(t, tx, `insert into public.child values ('abc', 'a long enough text')`)
	values := []store.SearchValue{{Forms: []string{"ABC"}}}
	hits, err := store.SearchValues(t.Context(), tx, placeOf(t, tx, "public.child"), values, store.SearchScope{Refs: []string{}}, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []store.SearchHit{{Column: "note", Rows: 1}}, hits)
	hits, err = store.SearchValues(t.Context(), tx, placeOf(t, tx, "public.parent"), values, store.SearchScope{Refs: []string{}}, time.Minute)
	require.NoError(t, err)
	require.Empty(t, hits, "the child's rows are the child's")
}

// A single word tells only in company of another one of the same person.
func TestSearchWeakValues(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `create table public.people (id uuid primary key default gen_random_uuid(), first text, last text);
		insert into public.people (first, last) values ('Theodora', 'Abelsgård'), ('Someone', 'Abelsgård'), ('Theodora', 'else')`)
	values := []store.SearchValue{
		{Owner: 7, Forms: []string{"theodora"}, Weak: true}, {Owner: 7, Forms: []string{"abelsgård"}, Weak: true},
		{Owner: 8, Forms: []string{"someone"}, Weak: true}, {Owner: 9, Forms: []string{"else"}, Weak: true},
	}
	hits, err := store.SearchValues(t.Context(), tx, placeOf(t, tx, "public.people"), values, store.SearchScope{Refs: []string{}}, time.Minute)
	require.NoError(t, err)
	require.Len(t, hits, 2)
	for i, column := range []string{"first", "last"} {
		require.Equal(t, column, hits[i].Column)
		require.Equal(t, 7, hits[i].Owner)
		require.Equal(t, int64(1), hits[i].Rows)
		require.Len(t, hits[i].Keys, 1)
	}
}

// A column may have a collation by which nothing can be searched, or another one than its neighbour.
func TestSearchCollations(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `create collation public.folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		create table public.words (a text collate public.folding, b text collate "C", c char(30), d name);
		insert into public.words values ('x', 'the Needle is here', 'b', 'needles')`)
	hits, err := store.SearchValues(t.Context(), tx, placeOf(t, tx, "public.words"), []store.SearchValue{{Forms: []string{"needle"}}}, store.SearchScope{Refs: []string{}}, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []store.SearchHit{{Column: "b", Rows: 1}, {Column: "d", Rows: 1}}, hits)
}

// A place takes no longer than it is given, and the transaction goes on as it was.
func TestSearchKeepsItsTime(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `create table public.long (line text); insert into public.long select repeat('ab', 2000) from generate_series(1, 20000)`)
	var values []store.SearchValue
	for range 100 {
		values = append(values, store.SearchValue{Forms: []string{strings.Repeat("ba", 30) + "c"}})
	}
	place := placeOf(t, tx, "public.long")
	var not *store.UnsearchedError
	started := time.Now()
	_, err := store.SearchValues(t.Context(), tx, place, values, store.SearchScope{Refs: []string{}}, 20*time.Millisecond)
	require.ErrorAs(t, err, &not)
	require.Equal(t, store.TimeOver, not.Reason)
	require.Less(t, time.Since(started), 10*time.Second)
	var timeout string
	require.NoError(t, tx.QueryRow(t.Context(), `show statement_timeout`).Scan(&timeout))
	require.Equal(t, "0", timeout)
	_, err = store.SearchValues(t.Context(), tx, place, values, store.SearchScope{Refs: []string{}}, 0)
	require.ErrorAs(t, err, &not)
}

func TestSearchLockedTable(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	_, err := db.Exec(t.Context(), `create table public.busy (line text); insert into public.busy values ('abcdef')`)
	require.NoError(t, err)
	place := placeOf(t, db, "public.busy")
	other, err := db.BeginTx(t.Context(), pgx.TxOptions{})
	require.NoError(t, err)
	defer func() { _ = other.Rollback(t.Context()) }()
	_, err = other.Exec(t.Context(), `lock table public.busy in access exclusive mode`)
	require.NoError(t, err)
	var not *store.UnsearchedError
	_, err = store.SearchValues(t.Context(), db, place, []store.SearchValue{{Forms: []string{"abcdef"}}}, store.SearchScope{Refs: []string{}}, 50*time.Millisecond)
	require.ErrorAs(t, err, &not)
	require.Contains(t, []string{store.Locked, store.TimeOver}, not.Reason)
}

// An output function of the shop's may fail, and its message may hold the value.
func TestSearchErrorsHoldNoValue(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `create table public.notes (line text); insert into public.notes values ('the needle')`)
	place := placeOf(t, tx, "public.notes")
	mustExec(t, tx, `drop table public.notes`)
	var not *store.UnsearchedError
	_, err := store.SearchValues(t.Context(), tx, place, []store.SearchValue{{Forms: []string{"needle"}}}, store.SearchScope{Refs: []string{}}, time.Minute)
	require.ErrorAs(t, err, &not)
	require.NotContains(t, err.Error(), "needle")
	require.Equal(t, "database error 42P01: relation \"public.notes\" does not exist", not.Reason)
}
