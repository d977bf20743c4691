package localpg

import (
	"archive/zip"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

	found, err := firstUsable(t.Context(), account{}, base, []string{old, half, good})
	require.NoError(t, err)
	require.Equal(t, good, found)

	_, err = firstUsable(t.Context(), account{}, base, []string{old, half})
	require.ErrorContains(t, err, "postgres is of version 13, too old")
	require.ErrorContains(t, err, "run initdb")
}

// repository serves testdata/binaries.txz (scripts in place of programs) the
// way Maven Central serves the real ones, and counts the downloads.
func repository(t *testing.T, downloads *int) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/io/zonky/test/postgres/", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".jar") {
			http.NotFound(w, r)
			return
		}
		*downloads++
		archive, err := os.ReadFile("testdata/binaries.txz")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		jar := zip.NewWriter(w)
		entry, err := jar.Create("postgres.txz")
		if err == nil {
			_, err = entry.Write(archive)
		}
		if err != nil || jar.Close() != nil {
			panic(http.ErrAbortHandler)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestFetchBinaries(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // the library leaves a log file there
	cache := t.TempDir()
	downloads := 0
	url := repository(t, &downloads)
	logger := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	for range 2 { // the second time from the cache
		dir, err := fetchBinaries(ctx, account{}, cache, cache, url, logger)
		require.NoError(t, err)
		require.NoError(t, usable(account{}, cache, dir))
	}
	require.Equal(t, 1, downloads)
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestFetchBinariesFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	cache := t.TempDir()
	logger := slog.New(slog.DiscardHandler)

	_, err := fetchBinaries(t.Context(), account{}, cache, cache, server.URL, logger)
	require.ErrorContains(t, err, "no version found matching")
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Empty(t, left)
}
