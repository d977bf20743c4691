package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/destination/webhook/webhooktest"
	"kvit/erasure/proof"
	"kvit/store/storetest"
)

// anchored is an installation with three certificates and an anchor at file, which is not there yet.
func anchored(t *testing.T, file string) *kvit {
	t.Helper()
	k := install(t, storetest.URL(t), strings.Replace(shopYAML, "  policy:", fmt.Sprintf("  anchor: %q\n  policy:", file), 1))
	k.execute(shopTable)
	k.mustCall("migrate", "up")
	k.certify(1, 2, 3)
	return k
}

// execute leaves no connection behind, or the database could not be copied.
func (k *kvit) execute(statement string, args ...any) {
	k.t.Helper()
	k.query(func(conn *pgx.Conn) {
		_, err := conn.Exec(k.t.Context(), statement, args...)
		require.NoError(k.t, err)
	})
}

func (k *kvit) query(do func(conn *pgx.Conn)) {
	k.t.Helper()
	conn, err := pgx.Connect(k.t.Context(), k.url)
	require.NoError(k.t, err)
	defer func() { require.NoError(k.t, conn.Close(k.t.Context())) }()
	do(conn)
}

// certify adds certificates as kvit erase would.
func (k *kvit) certify(numbers ...int64) {
	k.t.Helper()
	for _, n := range numbers {
		k.execute(`insert into kvit.erasure_certificate (number, order_ref, erased_at, policy_hash, row_counts, previous_hash, hash)
			values ($1, 'E' || $1::bigint::text, now(), '', '{}', '', $2)`, n, sumOf(n))
	}
}

// lose takes certificates away, as going back to a backup does.
func (k *kvit) lose(from int64) {
	k.t.Helper()
	k.query(func(conn *pgx.Conn) {
		for _, statement := range []string{
			`alter table kvit.erasure_certificate disable trigger user`,
			fmt.Sprintf(`delete from kvit.erasure_certificate where number >= %d`, from),
			`alter table kvit.erasure_certificate enable trigger user`,
		} {
			_, err := conn.Exec(k.t.Context(), statement)
			require.NoError(k.t, err)
		}
	})
}

func sumOf(n int64) string { return fmt.Sprintf("%064x", n) }

// anchorNumber is the file's; -1 if it is not there or not whole.
func anchorNumber(file string) int64 {
	a, err := proof.ReadAnchor(file)
	if err != nil || a.At.IsZero() {
		return -1
	}
	return a.Number
}

func (k *kvit) waitAnchor(file string, number int64) {
	k.t.Helper()
	require.Eventually(k.t, func() bool { return anchorNumber(file) == number }, waitFor, tick)
}

// ends waits for a daemon that ends by itself, and gives its exit code.
func (k *kvit) ends(cmd *exec.Cmd) int {
	k.t.Helper()
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(waitFor):
		require.FailNow(k.t, "kvit runs on")
	}
	return cmd.ProcessState.ExitCode()
}

func TestAnchorIsMovedWhileKvitRuns(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "anchor.json")
	k := anchored(t, file)
	process := k.start()
	k.waitReady()
	require.EqualValues(t, 3, anchorNumber(file), "a first start takes the database as it is")
	k.certify(4, 5)
	k.waitAnchor(file, 5)
	a, err := proof.ReadAnchor(file)
	require.NoError(t, err)
	require.Equal(t, sumOf(5), a.Hash)

	k.certify(6) // just before the end: between two looks
	k.stop(process)
	require.EqualValues(t, 6, anchorNumber(file))

	process = k.start() // nothing has gone back
	k.waitReady()
	k.stop(process)
}

func TestRunRefusesADatabaseThatHasGoneBack(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "anchor.json")
	k := anchored(t, file)
	k.mustCall("erase") // moves the anchor
	require.EqualValues(t, 3, anchorNumber(file))
	k.lose(2)
	refused := func(says string) {
		code, stdout, stderr := k.call("run")
		require.Equal(t, exitFailed, code, stdout)
		require.Contains(t, stderr, "kvit: retention.anchor: the database is older than "+file+" tells: "+says)
		require.Contains(t, stderr, "kvit erase --replay FILE")
		require.Contains(t, stderr, "docs/retention.md")
		require.NotContains(t, stderr, "River", "which has not been started")
		require.NotContains(t, stderr, "waiting for the database")
		require.EqualValues(t, 3, anchorNumber(file), "the anchor stays where it was")

		code, stdout, _ = k.call("check")
		require.Equal(t, exitFailed, code)
		require.Contains(t, stdout, "problem: retention.anchor: the database is older than "+file+" tells: "+says)
	}
	refused("its last certificate is number 1, and was number 3 at ")

	// Erased on after the restore: the number is there again, and stands for another order.
	k.execute(`insert into kvit.erasure_certificate (number, order_ref, erased_at, policy_hash, row_counts, previous_hash, hash)
		select n, 'E9' || n, now(), '', '{}', '', repeat(n::text, 64) from generate_series(2, 7) n`)
	refused("its certificate number 3 is not the one at ")

	require.NoError(t, os.Remove(file)) // on purpose
	k.start()
	k.waitReady()
	require.EqualValues(t, 7, anchorNumber(file))
}

// The database is replaced by an older copy of itself under a kvit that runs. The copy has the event's
// delivery still before it, and kvit must not do it again.
func TestKvitStopsWhenTheDatabaseGoesBack(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "anchor.json")
	k := install(t, storetest.URL(t), webhookYAML(server)+fmt.Sprintf("retention: {anchor: %q}\n", file))
	k.mustCall("migrate", "up")
	k.certify(1)
	process := k.start()
	k.waitReady()
	k.stop(process) // the destination is known from here on
	k.execute(`insert into kvit.tracking_event (event_key, name, payload, consent)
		values ('order_paid:E1', 'order_paid', '{"order": {"total": "749.00"}}', '{"marketing": true}')`)
	restore := k.backUp()

	process = k.start()
	require.Eventually(t, func() bool { return len(receiver.Events()) == 1 }, waitFor, tick)
	k.certify(2)
	k.waitAnchor(file, 2)
	restore()
	require.Equal(t, exitFailed, k.ends(process))
	require.Contains(t, k.log.String(), "its last certificate is number 1, and was number 2")
	require.Equal(t, 1, count(t, k.pool(), `select count(*) from kvit.river_job where kind = 'deliver_event' and finalized_at is null`))
	require.Equal(t, 1, receiver.Counts().Counted)
	require.Zero(t, receiver.Counts().Repeats, "nothing is delivered from the older database")
	require.EqualValues(t, 2, anchorNumber(file))
}

// backUp copies the database, which nobody may be connected to, and gives what puts the copy in its place.
func (k *kvit) backUp() (restore func()) {
	k.t.Helper()
	u, err := url.Parse(k.url)
	require.NoError(k.t, err)
	name := pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize()
	backup := pgx.Identifier{strings.TrimPrefix(u.Path, "/") + "_backup"}.Sanitize()
	u.Path = "/postgres"
	admin := func(ctx context.Context, statements ...string) {
		conn, err := pgx.Connect(ctx, u.String())
		require.NoError(k.t, err)
		defer func() { _ = conn.Close(ctx) }()
		for _, statement := range statements {
			_, err := conn.Exec(ctx, statement)
			require.NoError(k.t, err)
		}
	}
	admin(k.t.Context(), `create database `+backup+` template `+name)
	k.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitFor)
		defer cancel()
		admin(ctx, `drop database `+backup+` with (force)`)
	})
	return func() {
		admin(k.t.Context(), `drop database `+name+` with (force)`, `create database `+name+` template `+backup)
	}
}

// Going back without a word to those who are connected: certificates vanish.
func TestKvitStopsWhenCertificatesVanish(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "anchor.json")
	k := anchored(t, file)
	process := k.start()
	k.waitReady()
	pool := k.pool()
	leads := func() bool { return count(t, pool, `select count(*) from kvit.river_leader`) == 1 }
	require.Eventually(t, leads, waitFor, tick)
	k.lose(3)
	require.Equal(t, exitFailed, k.ends(process))
	require.Contains(t, k.log.String(), "its last certificate is number 2, and was number 3")
	require.False(t, leads(), "it has put its work down in order")
}

func TestRunRefusesADamagedAnchor(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "anchor.json")
	k := anchored(t, file)
	require.NoError(t, os.WriteFile(file, []byte(`{"number": 3`), 0o600))
	for _, command := range []string{"run", "erase", "check"} {
		code, stdout, stderr := k.call(command)
		require.Equal(t, exitFailed, code, command)
		require.Contains(t, stdout+stderr, "retention.anchor: read anchor "+file+": the file is damaged", command)
		require.Contains(t, stdout+stderr, "remove the file", command)
	}
	require.Equal(t, `{"number": 3`, contentOf(t, file))
}

func contentOf(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(content)
}

// The folder is missing, as a volume may be: kvit works, says so once, and once when it is mended.
func TestAnchorWhoseFolderIsMissing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "later", "anchor.json")
	k := anchored(t, file)
	code, stdout, _ := k.call("check")
	require.Equal(t, exitFailed, code)
	require.Contains(t, stdout, "problem: retention.anchor: cannot be written: ")

	process := k.start()
	k.waitReady()
	require.Contains(t, k.log.String(), "the anchor cannot be written")
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
	k.waitAnchor(file, 3)
	k.stop(process)
	require.Equal(t, 1, strings.Count(k.log.String(), "the anchor cannot be written"))
	require.Equal(t, 1, strings.Count(k.log.String(), "the anchor is written again"))
	require.NotContains(t, k.mustCall("check", "--offline"), "retention.anchor")
}

// A command moves the anchor forward and never back.
func TestEraseMovesTheAnchorForward(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "anchor.json")
	k := anchored(t, file)
	k.mustCall("erase")
	k.lose(3)
	code, _, stderr := k.call("erase")
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "its last certificate is number 2, and was number 3")
	require.EqualValues(t, 3, anchorNumber(file))
	k.mustCall("erase", "--dry-run")
}

func TestWithoutAnAnchor(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), shopYAML)
	k.execute(shopTable)
	k.mustCall("migrate", "up")
	k.certify(1)
	process := k.start()
	k.waitReady()
	k.lose(1)
	status, _ := k.get("/readyz")
	require.Equal(t, http.StatusOK, status)
	k.stop(process)
	require.NotContains(t, k.log.String(), "anchor")
	require.NotContains(t, k.mustCall("check", "--offline"), "anchor")
}
