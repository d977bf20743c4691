// Package browser drives kvit's pages in a real browser, beside a running kvit demo. What it sees is judged in
// browser.js: consoles, requests to other hosts, widths, and accessibility by axe. It runs by `make test-pages`, which
// installs Chromium and Node.js; pictures of each page are left in build/pages.
package browser

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPages(t *testing.T) {
	if os.Getenv("KVIT_BROWSER") == "" {
		t.Skip("no browser here; make test-pages brings one")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Minute)
	defer cancel()
	address, password := startDemo(ctx, t)

	drive := exec.CommandContext(ctx, "node", "drive.js", address, "demo", password, filepath.Join("..", "build", "pages"))
	drive.Stdout, drive.Stderr = os.Stdout, os.Stderr
	require.NoError(t, drive.Run(), "what is wrong with the pages stands above")
}

var announced = regexp.MustCompile(`(http://127\.0\.0\.1:\d+/)\D.*password (\S+)`)

// startDemo returns where its pages are, and the password of its user. The demo ends with the test, and
// fails it if it does not end cleanly.
func startDemo(ctx context.Context, t *testing.T) (address, password string) {
	t.Helper()
	kvit := filepath.Join(t.TempDir(), "kvit")
	output, err := exec.CommandContext(ctx, "go", "build", "-o", kvit, "../cmd/kvit").CombinedOutput()
	require.NoError(t, err, string(output))

	demo := exec.Command(kvit, "demo", "--for", "6m") // it is interrupted, not killed, so that it takes its Postgres along
	demo.Stderr = os.Stderr
	out, err := demo.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, demo.Start())
	lines := bufio.NewScanner(out)
	t.Cleanup(func() {
		require.NoError(t, demo.Process.Signal(syscall.SIGINT))
		_, _ = io.Copy(io.Discard, out)
		require.NoError(t, demo.Wait(), "the demo ends when it is interrupted")
	})
	for lines.Scan() {
		if found := announced.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return found[1], found[2]
		}
	}
	require.Fail(t, "the demo ended without telling where its pages are")
	return "", ""
}
