package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// What values look like is counted; no value comes back.
func TestColumnForms(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	_, err := tx.Exec(t.Context(), `
		create table public.notes (id bigint, "Data" text, list text, doc jsonb, reach text, phone text, "day" text, odd text);
		insert into public.notes values
			(1, '{"to": "jane@example.com"}', '[]', '{"a": 1}', 'jane@example.com', '+45 12 34 56 78', '2026-03-31', '{broken'),
			(2, '{}', '[1]', '[]', 'call me', '12 34 56 78', '2026-03-31T10:00', '{"a": 1}'),
			(3, ' {"a": 2}', null, null, '', 'none', 'soon', 'write to joe@example.com, please')`)
	require.NoError(t, err)
	forms, err := store.ColumnForms(t.Context(), tx, "public.notes", []string{"Data", "list", "doc", "reach", "phone", "day", "odd"}, 100)
	require.NoError(t, err)
	require.ElementsMatch(t, []store.ColumnForm{
		{Column: "Data", Rows: 3, Filled: 3, Values: 3, Objects: 3, Mentions: 1},
		{Column: "list", Rows: 3, Filled: 2, Values: 2, Arrays: 2},
		{Column: "doc", Rows: 3, Filled: 2, Values: 2, Objects: 1, Arrays: 1},
		{Column: "reach", Rows: 3, Filled: 2, Values: 2, Emails: 1, Mentions: 1},
		{Column: "phone", Rows: 3, Filled: 3, Values: 3, Phones: 2},
		{Column: "day", Rows: 3, Filled: 3, Values: 3, Dates: 2},
		{Column: "odd", Rows: 3, Filled: 3, Values: 3, Objects: 1, Mentions: 1},
	}, forms)

	forms, err = store.ColumnForms(t.Context(), tx, "public.notes", []string{"Data"}, 2)
	require.NoError(t, err)
	require.Equal(t, 2, forms[0].Rows, "no more rows than asked for")
	_, err = store.ColumnForms(t.Context(), tx, "public.notes", []string{"none"}, 2)
	require.ErrorContains(t, err, "count forms in public.notes")
	_, err = store.ColumnForms(t.Context(), tx, "public.notes", []string{"list"}, 2)
	require.NoError(t, err, "the transaction goes on")
}

func TestColumnFormsOfALargeTable(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	_, err := tx.Exec(t.Context(), `
		create table public.log (line text);
		insert into public.log select 'line ' || n from generate_series(1, 100000) n;
		analyze public.log`)
	require.NoError(t, err)
	forms, err := store.ColumnForms(t.Context(), tx, "public.log", []string{"line"}, 200)
	require.NoError(t, err)
	require.Len(t, forms, 1)
	require.Positive(t, forms[0].Rows)
}
