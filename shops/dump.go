package shops

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// Dump is all rows of a database, by table, as pg_dump writes them: what a backup of the shop holds.
type Dump struct {
	tables []string // with schema, in the order of the dump
	rows   map[string]string
}

// TakeDump dumps a shop's database, kvit's own schema included.
func TakeDump(t testing.TB, db *pgxpool.Pool) Dump {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), pgDump(t), "--data-only", "--dbname", db.Config().ConnString())
	text, err := cmd.Output()
	require.NoError(t, err)
	return parseDump(string(text))
}

// pgDump is the server's own, which reads its format for sure.
func pgDump(t testing.TB) string {
	t.Helper()
	own := filepath.Join(storetest.Server(t).BinDir(), "pg_dump")
	if path, err := exec.LookPath(own); err == nil {
		return path
	}
	path, err := exec.LookPath("pg_dump")
	require.NoError(t, err, "pg_dump is missing: it comes with Postgres' packages, not with its bare server")
	return path
}

// parseDump reads the COPY blocks of a dump: a line that names the table, its rows, a line of \.
func parseDump(text string) Dump {
	d := Dump{rows: map[string]string{}}
	for _, block := range strings.Split(text, "\nCOPY ")[1:] {
		head, rest, _ := strings.Cut(block, "\n")
		rows, _, _ := strings.Cut(rest, "\n\\.\n")
		table, _, _ := strings.Cut(head, " (")
		table = strings.ReplaceAll(table, `"`, "")
		d.tables = append(d.tables, table)
		d.rows[table] = rows
	}
	return d
}

// Holding names the tables, with their schema, that a value stands in.
func (d Dump) Holding(value string) []string {
	var found []string
	for _, table := range d.tables {
		if strings.Contains(d.rows[table], value) {
			found = append(found, table)
		}
	}
	return found
}
