package proof

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	sumA = strings.Repeat("a", 64)
	sumB = strings.Repeat("b", 64)
)

func TestAnchorMissing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		anchor  Anchor
		last    int64
		hash    string // of the certificate with the anchor's number
		missing bool
	}{
		"NothingWasErasedYet":  {Anchor{}, 0, "", false},
		"FirstErasure":         {Anchor{}, 3, "", false},
		"AsItWas":              {Anchor{Number: 12, Hash: sumA}, 12, sumA, false},
		"MoreErasedSince":      {Anchor{Number: 12, Hash: sumA}, 40, sumA, false},
		"Older":                {Anchor{Number: 12, Hash: sumA}, 11, "", true},
		"Empty":                {Anchor{Number: 12, Hash: sumA}, 0, "", true},
		"ErasedOthersSince":    {Anchor{Number: 12, Hash: sumA}, 12, sumB, true},
		"ErasedManyOthers":     {Anchor{Number: 12, Hash: sumA}, 40, sumB, true},
		"CertificateIsMissing": {Anchor{Number: 12, Hash: sumA}, 40, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.missing, c.anchor.Missing(c.last, c.hash))
		})
	}
}

func TestAnchorFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "anchor.json")
	a, err := ReadAnchor(path)
	require.NoError(t, err, "no file is no error")
	require.Zero(t, a)

	at := time.Date(2026, 3, 29, 3, 30, 0, 0, time.UTC)
	for _, a := range []Anchor{{At: at}, {Number: 12, Hash: sumA, At: at}, {Number: 13, Hash: sumB, At: at}} {
		require.NoError(t, WriteAnchor(path, a))
		read, err := ReadAnchor(path)
		require.NoError(t, err)
		require.Equal(t, a, read)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Len(t, entries(t, path), 1, "no temporary file is left")
}

func entries(t *testing.T, path string) []fs.DirEntry {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	return list
}

// kvit erase may be run by root, the daemon by another user.
func TestAnchorBelongsToTheOwnerOfItsFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	owner := os.Geteuid()
	if owner == 0 {
		owner = 65534
		require.NoError(t, os.Chown(folder, owner, owner))
	}
	path := filepath.Join(folder, "anchor.json")
	require.NoError(t, WriteAnchor(path, Anchor{At: time.Now()}))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, owner, info.Sys().(*syscall.Stat_t).Uid)
}

func TestAnchorThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	err := WriteAnchor(filepath.Join(folder, "none", "anchor.json"), Anchor{At: time.Now()})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "write anchor: ")

	path := filepath.Join(folder, "anchor.json")
	require.NoError(t, os.MkdirAll(filepath.Join(path, "in the way"), 0o700))
	require.ErrorContains(t, WriteAnchor(path, Anchor{At: time.Now()}), "write anchor: ")
	require.Len(t, entries(t, path), 1, "no temporary file is left")
}

func TestAnchorThatCannotBeRead(t *testing.T) {
	t.Parallel()
	_, err := ReadAnchor(t.TempDir())
	require.ErrorContains(t, err, "read anchor: ")

	path := filepath.Join(t.TempDir(), "anchor.json")
	for _, text := range damaged {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := ReadAnchor(path)
		require.EqualError(t, err, "read anchor "+path+": the file is damaged, or no anchor of kvit's", text)
	}
}

var (
	whole   = `{"number": 12, "hash": "` + sumA + `", "at": "2026-03-29T03:30:00Z"}`
	damaged = []string{
		"", "\n", "null", "{}", "[]", "12", "nonsense", whole[:len(whole)-1], whole + whole,
		strings.Replace(whole, "12", "-12", 1),
		strings.Replace(whole, "12", "0", 1),
		strings.Replace(whole, "12", "12.5", 1),
		strings.Replace(whole, "aaa", "zzz", 1),
		strings.Replace(whole, sumA, "", 1),
		strings.Replace(whole, sumA, sumA[1:], 1),
		strings.Replace(whole, "2026-03-29T03:30:00Z", "yesterday", 1),
		strings.Replace(whole, `, "at": "2026-03-29T03:30:00Z"`, "", 1),
	}
)

func FuzzParseAnchor(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"number": 0, "hash": "", "at": "2026-03-29T03:30:00Z"}`))
	for _, text := range damaged {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := parseAnchor(text)
		if err != nil {
			require.Zero(t, a)
			return
		}
		require.Equal(t, a.Number == 0, a.Hash == "", "a number without a hash finds nothing missing")
		path := filepath.Join(t.TempDir(), "anchor.json")
		require.NoError(t, WriteAnchor(path, a))
		again, err := ReadAnchor(path)
		require.NoError(t, err)
		require.Equal(t, a.Number, again.Number)
		require.Equal(t, a.Hash, again.Hash)
		require.True(t, a.At.Equal(again.At))
	})
}
