package erasure

import (
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// everyRow is what pg_dump would read, for servers that come without it: all rows of all tables as text.
func (s *shop) everyRow() string {
	s.t.Helper()
	rows, err := s.db.Query(s.t.Context(), `select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') order by 1`)
	require.NoError(s.t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(s.t, err)
	require.Contains(s.t, tables, "kvit.erasure_certificate")
	var text strings.Builder
	for _, table := range tables {
		rows, err := s.db.Query(s.t.Context(), `select r::text from `+table+` r`)
		require.NoError(s.t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(s.t, err)
		text.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return text.String()
}
