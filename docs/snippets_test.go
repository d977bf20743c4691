package docs_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// runtime is what runs the snippets of a language: how it is asked whether it has what it takes, and what stands
// around a snippet, which finds the connection, the reference, the payload and the consent under the names that it
// uses. The address of the database is in $DATABASE_URL.
type runtime struct {
	language string
	commands []string // the first that there is and that has what it takes
	asks     string
	file     string
	program  string // %s: the snippet
}

var runtimes = []runtime{
	{"js", []string{"node"}, `require('pg')`, "snippet.cjs", `
const { Client } = require('pg');
(async () => {
const client = new Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
const ref = 'E7', payload = { customer: { id: 42 }, order: { currency: 'dkk', total: 749.00 } }, consent = { marketing: true };
await client.query('begin');
%s
await client.query('commit');
await client.end();
})().catch((error) => { console.error(error); process.exit(1); });
`},
	{"php", []string{"php"}, `extension_loaded('pdo_pgsql') || exit(1);`, "snippet.php", `<?php
$u = parse_url(getenv('DATABASE_URL'));
parse_str($u['query'] ?? '', $q);
$db = new PDO('pgsql:host=' . ($q['host'] ?? $u['host']) . ';port=' . ($q['port'] ?? $u['port'] ?? 5432) . ';dbname=' . ltrim($u['path'], '/') . ";options='" . $q['options'] . "'", $u['user'] ?? null, $u['pass'] ?? null);
$ref = 'E7'; $payload = ['customer' => ['id' => 42], 'client' => [], 'order' => ['currency' => 'dkk', 'total' => 749.00]]; $consent = ['marketing' => true];
$db->beginTransaction();
%s
$db->commit();
`},
	{"python", []string{"python3", "/usr/bin/python3"}, `import psycopg`, "snippet.py", `
import os, psycopg
from psycopg.types.json import Json
ref, payload, consent = 'E7', {'customer': {'id': 42}, 'order': {'currency': 'dkk', 'total': 749.00}}, {'marketing': True}
with psycopg.connect(os.environ['DATABASE_URL']) as connection:
%s
`},
	{"ruby", []string{"ruby"}, `require 'pg'; require 'json'`, "snippet.rb", `
require 'pg'
require 'json'
connection = PG.connect(ENV['DATABASE_URL'])
ref, payload, consent = 'E7', { customer: { id: 42 }, order: { currency: 'dkk', total: 749.00 } }, { marketing: true }
connection.exec('begin')
%s
connection.exec('commit')
`},
	{"csharp", []string{"dotnet-with-npgsql"}, ``, "", "%s"}, // .NET has no package of its own at apt or npm
}

// TestSnippets runs what docs/shop.md shows in other languages, where their runtimes and clients of Postgres are
// on the machine.
func TestSnippets(t *testing.T) {
	t.Parallel()
	for _, r := range runtimes {
		t.Run(r.language, func(t *testing.T) {
			t.Parallel()
			snippet := r.snippet(t)
			command := r.command(t)
			address := storetest.URL(t)
			directory := t.TempDir()
			file := filepath.Join(directory, r.file)
			require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, r.program, snippet), 0o600))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			run := exec.CommandContext(ctx, command, file)
			run.Env = r.environment("DATABASE_URL=" + asShop(t, address))
			output, err := run.CombinedOutput()
			require.NoError(t, err, "%s", output)
			require.Equal(t, []string{
				`order_placed:E7 order_placed E7 42 true`,
				`order_paid:E7 order_paid E7 42 true`,
			}, written(t, address))
		})
	}
}

// snippet is the block in the language.
func (r runtime) snippet(t *testing.T) string {
	t.Helper()
	for _, b := range blocks(t, "docs/shop.md") {
		if b.language == r.language {
			if r.language == "python" { // within the block of the connection
				return indent(b.text)
			}
			return b.text
		}
	}
	t.Fatal("docs/shop.md shows nothing in " + r.language)
	return ""
}

// command is the runtime; without one the test is skipped.
func (r runtime) command(t *testing.T) string {
	t.Helper()
	flags := map[string]string{"js": "-e", "php": "-r", "python": "-c", "ruby": "-e"}
	for _, name := range r.commands {
		if path, err := exec.LookPath(name); err == nil {
			ask := exec.CommandContext(t.Context(), path, flags[r.language], r.asks)
			ask.Env = r.environment()
			if ask.Run() == nil {
				return path
			}
		}
	}
	t.Skip("this machine has no " + r.language + " with a client of Postgres")
	return ""
}

// environment lets Node find what npm has installed.
func (r runtime) environment(more ...string) []string {
	modules, err := filepath.Abs(filepath.Join(root, "shops", "clients", "node_modules"))
	if err != nil {
		panic(err)
	}
	return append(append(os.Environ(), "NODE_PATH="+modules), more...)
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(text, "\n", "\n    ")
}

// asShop is the address with a role that has the shop's rights and no others.
func asShop(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	query := u.Query()
	query.Set("options", "-c role=kvit_shop")
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20") // libpq takes a plus for a plus
	return u.String()
}

// written are the events, oldest first.
func written(t *testing.T, address string) []string {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), address)
	require.NoError(t, err)
	defer pool.Close()
	rows, err := pool.Query(t.Context(), `
		select event_key || ' ' || name || ' ' || order_ref || ' ' || (payload #>> '{customer,id}') || ' ' || (consent ->> 'marketing')
		from kvit.event
		order by id`)
	require.NoError(t, err)
	defer rows.Close()
	var list []string
	for rows.Next() {
		var text string
		require.NoError(t, rows.Scan(&text))
		list = append(list, text)
	}
	require.NoError(t, rows.Err())
	return list
}
