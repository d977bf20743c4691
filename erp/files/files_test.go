package files_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp"
	"kvit/erp/files"
)

// inbox is a folder and a connector to it.
type inbox struct {
	t         *testing.T
	dir       string
	connector erp.Connector
	now       time.Time
}

// open makes a folder with done and bad, and a connector as change says.
func open(t *testing.T, change func(o *files.Options)) *inbox {
	t.Helper()
	in := &inbox{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)}
	for _, name := range []string{"done", "bad"} {
		require.NoError(t, os.Mkdir(filepath.Join(in.dir, name), 0o750))
	}
	o := files.Options{Folder: in.dir}
	change(&o)
	connector, err := o.Make(erp.Common{Name: "receipts", Now: func() time.Time { return in.now }})
	require.NoError(t, err)
	in.connector = connector
	return in
}

func (in *inbox) put(name, text string) {
	in.t.Helper()
	require.NoError(in.t, os.WriteFile(filepath.Join(in.dir, name), []byte(text), 0o600))
}

func (in *inbox) collect() (numbers []string, err error) {
	err = in.connector.(erp.Inbox).Collect(in.t.Context(), func(docs []erp.Document) error {
		for _, d := range docs {
			numbers = append(numbers, d.Ref+" "+d.Number)
		}
		return nil
	})
	return numbers, err
}

// names are the files of the folder, or of one in it.
func (in *inbox) names(within string) (names []string) {
	in.t.Helper()
	entries, err := os.ReadDir(filepath.Join(in.dir, within))
	require.NoError(in.t, err)
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

const (
	csvText = "web_order;erp_order_number;imported_at;result;message\n10023;SO-101005;2026-11-20T10:05:12Z;imported;\n10024;;;failed;unknown item 4711\n"
	jsonl   = `{"web_order":"10025","erp_order_number":"SO-101006"}` + "\n\n" + `{"web_order":10026,"result":"imported","message":{"any":"thing"}}` + "\n"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	cases(t, func(*files.Options) {})
}

// cases hold for folders of all kinds.
func cases(t *testing.T, change func(o *files.Options)) {
	t.Run("Taken", func(t *testing.T) {
		t.Parallel()
		in := open(t, change)
		in.put("b.jsonl", jsonl)
		in.put("a.CSV", csvText)
		numbers, err := in.collect()
		require.NoError(t, err)
		require.Equal(t, []string{"10023 SO-101005", "10025 SO-101006", "10026 "}, numbers, "what has failed is no evidence")
		require.Equal(t, []string{"a.CSV", "b.jsonl"}, in.names("done"))
		require.Empty(t, in.names("."))
		numbers, err = in.collect()
		require.NoError(t, err)
		require.Empty(t, numbers)
		require.Empty(t, in.names("bad"))
	})
	t.Run("Refused", func(t *testing.T) {
		t.Parallel()
		in := open(t, change)
		in.put("a.csv", csvText)
		full := errors.New("full")
		err := in.connector.(erp.Inbox).Collect(t.Context(), func([]erp.Document) error { return full })
		require.Equal(t, full, err)
		require.Equal(t, []string{"a.csv"}, in.names("."), "it stays until it was taken")
	})
	t.Run("Bad", func(t *testing.T) {
		t.Parallel()
		in := open(t, change)
		in.put("a.csv", "web_order\nWEB-1\n\xe6\xf8\xe5\n")
		in.put("b.csv", csvText)
		in.put("c.csv", strings.Repeat(" ", 16<<20+1))
		numbers, err := in.collect()
		require.Equal(t, erp.Malformed, erp.KindOf(err), "%v", err)
		require.ErrorContains(t, err, "2 files could not be read and are in bad/ (the last: is larger than 16 MB)")
		require.Equal(t, []string{"10023 SO-101005"}, numbers, "nothing of a.csv, all of b.csv")
		require.Equal(t, []string{"a.csv", "a.csv.reason", "c.csv", "c.csv.reason"}, in.names("bad"))
		require.Equal(t, []string{"b.csv"}, in.names("done"))
		reason, err := os.ReadFile(filepath.Join(in.dir, "bad", "a.csv.reason"))
		require.NoError(t, err)
		require.Equal(t, "line 3: is not UTF-8: write the file in UTF-8 (Windows-1252 and ISO 8859-1 are not taken)\n", string(reason))
		_, err = in.collect()
		require.NoError(t, err)
	})
	t.Run("Partial", func(t *testing.T) {
		t.Parallel()
		in := open(t, change)
		left := []string{".a.csv", "a.csv.tmp", "b.part", "c.txt", "d"}
		for _, name := range left {
			in.put(name, csvText)
		}
		require.NoError(t, os.Mkdir(filepath.Join(in.dir, "folder.csv"), 0o750))
		secret := filepath.Join(t.TempDir(), "secret.csv")
		require.NoError(t, os.WriteFile(secret, []byte(csvText), 0o600))
		require.NoError(t, os.Symlink(secret, filepath.Join(in.dir, "link.csv")))
		numbers, err := in.collect()
		require.NoError(t, err)
		require.Empty(t, numbers)
		require.Equal(t, append(slices.Clone(left), "link.csv"), in.names("."))
	})
	t.Run("Settles", func(t *testing.T) {
		t.Parallel()
		in := open(t, func(o *files.Options) {
			change(o)
			o.Settle = time.Minute
		})
		in.put("a.csv", "web_order\n1\n")
		look := func(after time.Duration) int {
			in.now = in.now.Add(after)
			numbers, err := in.collect()
			require.NoError(t, err)
			return len(numbers)
		}
		require.Zero(t, look(0))
		require.Zero(t, look(59*time.Second))
		in.put("a.csv", "web_order\n1\n2\n")
		require.Zero(t, look(time.Second), "it has grown")
		require.Zero(t, look(59*time.Second))
		require.Equal(t, 2, look(time.Second))
		in.put("a.csv", "web_order\n3\n")
		require.Zero(t, look(time.Hour), "another file of the same name")
	})
	t.Run("SameName", func(t *testing.T) {
		t.Parallel()
		in := open(t, change)
		for range 3 {
			in.put("a.csv", csvText)
			_, err := in.collect()
			require.NoError(t, err)
		}
		require.Equal(t, []string{"a-20261120T100000Z-1.csv", "a-20261120T100000Z-2.csv", "a.csv"}, in.names("done"))
	})
	t.Run("NotMounted", func(t *testing.T) {
		t.Parallel()
		in := open(t, change)
		proof, err := in.connector.Probe(t.Context())
		require.NoError(t, err)
		require.Equal(t, "a folder with done/ and bad/, 0 files waiting", proof.Company)
		in.put("a.csv", csvText)
		require.NoError(t, os.Remove(filepath.Join(in.dir, "bad")))
		_, err = in.connector.Probe(t.Context())
		require.Equal(t, erp.Misconfigured, erp.KindOf(err), "%v", err)
		_, err = in.collect()
		require.Equal(t, erp.Misconfigured, erp.KindOf(err), "%v", err)
		require.Equal(t, []string{"a.csv"}, in.names("."))
		require.NoError(t, os.RemoveAll(in.dir))
		_, err = in.collect()
		require.Equal(t, erp.Misconfigured, erp.KindOf(err), "%v", err)
	})
	t.Run("Interrupted", func(t *testing.T) {
		t.Parallel()
		in := open(t, change)
		in.put("a.csv", csvText)
		in.put("b.csv", csvText)
		ctx, cancel := context.WithCancel(t.Context())
		err := in.connector.(erp.Inbox).Collect(ctx, func([]erp.Document) error {
			cancel()
			return nil
		})
		require.Equal(t, erp.Unreachable, erp.KindOf(err), "%v", err)
		require.Contains(t, in.names("."), "b.csv")
	})
}

// TestBudget: a look into the folder is a call.
func TestBudget(t *testing.T) {
	t.Parallel()
	meter := &erp.Meter{}
	meter.Begin(0)
	connector, err := files.Options{Folder: t.TempDir()}.Make(erp.Common{Meter: meter})
	require.NoError(t, err)
	_, err = connector.Probe(t.Context())
	require.Equal(t, erp.Spent, erp.KindOf(err))
}
