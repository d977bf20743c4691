package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// erased is an installation with certificates, and a path for their export.
func erased(t *testing.T, certificates int) (k *kvit, pool *pgxpool.Pool, file string) {
	t.Helper()
	k = install(t, storetest.URL(t), shopYAML)
	pool = k.pool()
	_, err := pool.Exec(t.Context(), shopTable)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into orders (number, imported_at, erp_number, customer_name, created_at)
		select 'E<' || i || '>', now() - interval '31 days', nullif('SO-' || i, 'SO-2'), 'Jane', now() - interval '32 days'
		from generate_series(1, $1::integer) i`, certificates)
	require.NoError(t, err)
	k.mustCall("migrate", "up")
	k.mustCall("erase")
	require.Equal(t, certificates, count(t, pool, `select count(*) from kvit.erasure_certificate`))
	return k, pool, filepath.Join(t.TempDir(), "certificates.jsonl")
}

func TestVerifyExport(t *testing.T) {
	t.Parallel()
	k, _, file := erased(t, 5)
	said := k.mustCall("verify", "--export", file)
	require.Contains(t, said, "5 certificates, the chain holds; last hash ")
	require.Equal(t, said, k.mustCall("verify"))
	require.Equal(t, said, k.mustCall("verify", "--file", file), "the export holds without the database")

	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 5, strings.Count(string(content), "\n"))
	require.Contains(t, string(content), `"order_ref":"E<1>"`)
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")

	for _, args := range [][]string{{"--export"}, {"--export", "-"}, {"--export=-"}} {
		code, stdout, stderr := k.call(append([]string{"verify"}, args...)...)
		require.Zero(t, code, stderr)
		require.Equal(t, string(content), stdout)
		require.Equal(t, said, stderr)
	}
}

func TestVerifyExportOfNothing(t *testing.T) {
	t.Parallel()
	k, _, file := erased(t, 0)
	require.Equal(t, "0 certificates, the chain holds\n", k.mustCall("verify", "--export="+file))
	require.Equal(t, "0 certificates, the chain holds\n", k.mustCall("verify", "--file", file))
}

func TestVerifyExportDoesNotOverwrite(t *testing.T) {
	t.Parallel()
	k, _, file := erased(t, 1)
	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o644))
	code, _, stderr := k.call("verify", "--export", file)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "--force")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "mine", string(content))

	k.mustCall("verify", "--export", file, "--force")
	require.Contains(t, k.mustCall("verify", "--file", file), "1 certificates")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "also where the file before was open to all")

	link := file + ".link"
	require.NoError(t, os.Symlink(file, link))
	code, _, stderr = k.call("verify", "--export", link, "--force")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "is no plain file")
}

func TestVerifyExportNamesWhatIsWrongInTheDatabase(t *testing.T) {
	t.Parallel()
	k, pool, file := erased(t, 4)
	_, err := pool.Exec(t.Context(), `
		set session_replication_role = replica;
		update kvit.erasure_certificate set order_ref = 'E9' where number = 3;
		set session_replication_role = origin`)
	require.NoError(t, err)
	for _, args := range [][]string{{"--export", file}, {"--export"}, {}} {
		code, _, stderr := k.call(append([]string{"verify"}, args...)...)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "certificate 3 was changed")
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Empty(t, entries, "no file that looks like a proof")
}

func TestVerifyNamesWhatIsWrongInAnExport(t *testing.T) {
	t.Parallel()
	k, _, file := erased(t, 4)
	k.mustCall("verify", "--export", file)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		spoil func(lines []string) []string
		says  string
	}{
		"Changed": {func(lines []string) []string {
			lines[1] = strings.Replace(lines[1], `"kvit.event":0`, `"kvit.event":1`, 1)
			return lines
		}, "certificate 2 was changed"},
		"Missing":      {func(lines []string) []string { return slices.Delete(lines, 1, 2) }, "certificate 2 is missing or out of order"},
		"FirstMissing": {func(lines []string) []string { return lines[1:] }, "certificate 1 is missing or out of order"},
		"Reordered": {func(lines []string) []string {
			lines[1], lines[2] = lines[2], lines[1]
			return lines
		}, "certificate 2 is missing or out of order"},
		"Inserted": {func(lines []string) []string { return slices.Insert(lines, 3, lines[1]) }, "certificate 2 is inserted or out of order"},
		"Foreign":  {func(lines []string) []string { return append(lines, `{"name": "Jane"}`) }, "line 5 is no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := c.spoil(strings.Split(strings.TrimSuffix(string(content), "\n"), "\n"))
			require.NotEqual(t, string(content), strings.Join(lines, "\n")+"\n")
			spoilt := filepath.Join(t.TempDir(), "spoilt.jsonl")
			require.NoError(t, os.WriteFile(spoilt, []byte(strings.Join(lines, "\n")), 0o600))
			code, _, stderr := k.call("verify", "--file", spoilt)
			require.Equal(t, 1, code)
			require.Contains(t, stderr, c.says)
			require.NotContains(t, stderr, "Jane")
		})
	}
}

func TestVerifyUsage(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), shopYAML)
	for _, args := range [][]string{
		{"certificates.jsonl"}, {"--file", "a", "--export", "b"}, {"--force"}, {"--export", "--force"}, {"--export", ""}, {"--export="}, {"--export=a", "b"}, {"--export", "a", "b"},
	} {
		code, _, stderr := k.call(append([]string{"verify"}, args...)...)
		require.Equal(t, 2, code, "%v: %s", args, stderr)
	}
}
