package erasure

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure/proof"
	"kvit/store"
	"kvit/store/storetest"
)

func sumOf(n int64) string { return fmt.Sprintf("%064x", n) }

// certify adds a certificate that no erasure has written.
func certify(t *testing.T, db store.DB, n int64) {
	t.Helper()
	_, err := db.Exec(t.Context(), `
		insert into kvit.erasure_certificate (number, order_ref, erased_at, policy_hash, row_counts, previous_hash, hash)
		values ($1, 'E1', now(), '', '{}', '', $2)`, n, sumOf(n))
	require.NoError(t, err)
}

// lose takes certificates away, as going back to a backup does. db is a transaction: switching the table's
// triggers off would keep the tests beside this one waiting.
func lose(t *testing.T, db store.DB, from int64) {
	t.Helper()
	_, err := db.Exec(t.Context(), fmt.Sprintf(`
		set local session_replication_role = replica;
		delete from kvit.erasure_certificate where number >= %d;
		set local session_replication_role = origin`, from))
	require.NoError(t, err)
}

// anchorNumber is the file's; -1 if it is not there or not whole.
func anchorNumber(file string) int64 {
	a, err := proof.ReadAnchor(file)
	if err != nil || a.At.IsZero() {
		return -1
	}
	return a.Number
}

// A file that cannot be written for a while does not lose what kvit knows meanwhile.
func TestAnchorKeeperRemembersWhatItCannotWrite(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "later", "anchor.json")
	k := NewAnchorKeeper(AnchorFile(file), slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, k.Start(t.Context(), tx))
	certify(t, tx, 1)
	certify(t, tx, 2)
	for range 3 {
		require.NoError(t, k.look(t.Context(), tx))
	}
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"))
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
	require.NoError(t, k.look(t.Context(), tx))
	require.EqualValues(t, 2, anchorNumber(file))

	require.NoError(t, os.RemoveAll(filepath.Dir(file)))
	certify(t, tx, 3)
	require.NoError(t, k.look(t.Context(), tx))
	require.Equal(t, 2, strings.Count(log.String(), "level=ERROR"), "it fails anew")
	lose(t, tx, 3)
	require.ErrorContains(t, k.Admit(t.Context(), tx), "its last certificate is number 2, and was number 3")
	require.ErrorContains(t, k.look(t.Context(), tx), "its last certificate is number 2, and was number 3")
	require.Len(t, k.Older(), 1, "told once")
}

// What is written stays fresh even if nothing is erased for weeks, and comes back if it is removed.
func TestAnchorIsWrittenAgainAfterAMinute(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	file := filepath.Join(t.TempDir(), "anchor.json")
	k := NewAnchorKeeper(AnchorFile(file), slog.New(slog.DiscardHandler))
	require.NoError(t, k.Start(t.Context(), tx))
	require.NoError(t, os.Remove(file))
	require.NoError(t, k.look(t.Context(), tx))
	require.NoFileExists(t, file, "not each time")
	k.written = k.written.Add(-anchorWrite)
	require.NoError(t, k.look(t.Context(), tx))
	require.FileExists(t, file)
}

// An anchor is moved forward and never back; only a replay may take it back.
func TestKeepAndResetAnchor(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	file := filepath.Join(t.TempDir(), "anchor.json")
	anchor := AnchorFile(file)
	for n := range int64(3) {
		certify(t, tx, n+1)
	}
	require.NoError(t, anchor.Keep(t.Context(), tx))
	lose(t, tx, 3)
	err := anchor.Keep(t.Context(), tx)
	require.ErrorContains(t, err, "is older")
	require.True(t, IsAnchor(err))
	require.EqualValues(t, 3, anchorNumber(file))
	require.NoError(t, anchor.reset(t.Context(), tx))
	require.EqualValues(t, 2, anchorNumber(file))
	require.NoError(t, anchor.Keep(t.Context(), tx))
}

// After a replay the database is whole if the export, or itself, holds what the anchor knows of.
func TestSettleAnchor(t *testing.T) {
	t.Parallel()
	export := func(numbers ...int64) Export {
		return func(do func(proof.Certificate) error) error {
			for _, n := range numbers {
				if err := do(proof.Certificate{Number: n, Hash: sumOf(n)}); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		lost   int64 // from this one on
		export Export
		want   int64
	}{
		"Whole":      {4, export(), 3},
		"InExport":   {3, export(1, 2, 3, 4), 2},
		"NotInThere": {3, export(1, 2), 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := storetest.Tx(t)
			file := filepath.Join(t.TempDir(), "anchor.json")
			anchor := AnchorFile(file)
			for n := range int64(3) {
				certify(t, tx, n+1)
			}
			require.NoError(t, anchor.Keep(t.Context(), tx))
			lose(t, tx, c.lost)
			err := anchor.Settle(t.Context(), tx, c.export)
			require.Equal(t, c.want, anchorNumber(file))
			if name != "NotInThere" {
				require.NoError(t, err)
				return
			}
			var unknown *UnknownError
			require.ErrorAs(t, err, &unknown)
			require.ErrorContains(t, err, "the export ends at certificate 2, and "+file+" knows of number 3 of ")
		})
	}
}

// Without retention.anchor there is nothing to do, and nothing to find.
func TestNoAnchor(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	var none AnchorFile
	require.NoError(t, none.Keep(t.Context(), tx))
	require.NoError(t, none.Settle(t.Context(), tx, nil))
	require.Empty(t, none.Findings(t.Context(), tx))
	k := NewAnchorKeeper(none, slog.New(slog.DiscardHandler))
	require.NoError(t, k.Start(t.Context(), tx))
	require.NoError(t, k.Admit(t.Context(), tx))
	k.Watch(t.Context(), tx)
	require.NoError(t, k.End(t.Context(), tx))
}
