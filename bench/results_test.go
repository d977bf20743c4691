package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// row is a line of a section of RESULTS.md: what was measured in each round, and what is aimed at.
type row struct {
	what   string
	unit   string
	values []float64
	aim    string // such as "at least 1.4"; empty: nothing is
}

// publish prints the rows as a Markdown table, and puts them into the file that KVIT_BENCH_RESULTS names in place of
// what the section held: a part can be measured again without the others.
func publish(b *testing.B, section, how string, rows ...row) {
	b.Helper()
	text := sectionOf(section, how, rows)
	fmt.Println("\n" + text)
	if file := os.Getenv("KVIT_BENCH_RESULTS"); file != "" {
		require.NoError(b, replaceSection(file, section, text))
	}
}

func sectionOf(section, how string, rows []row) string {
	var s strings.Builder
	fmt.Fprintf(&s, "## %s\n\n%s\n\n%s.\n\n| | median | least and most | | aim |\n| --- | ---: | --- | --- | --- |\n", section, how, machine())
	for _, r := range rows {
		low, high := slices.Min(r.values), slices.Max(r.values)
		fmt.Fprintf(&s, "| %s | %s | %s to %s | %s | %s |\n", r.what, digits(middle(r.values)), digits(low), digits(high), r.unit, r.aim)
	}
	return s.String()
}

// middle is the median of any number of values.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// digits leaves of a figure what it is good for.
func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// machine says where and when, and what else the machine did when the process began.
func machine() string {
	where := fmt.Sprintf("%s, %s, %d cores, %s", time.Now().UTC().Format("2 January 2006, 15:04 UTC"), runtime.Version(), runtime.NumCPU(), runtime.GOARCH)
	return where + ", load at the start " + loadAtStart
}

var loadAtStart = load()

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(text))[0]
}

// replaceSection keeps what comes before the first section, and the order of the sections.
func replaceSection(file, section, text string) error {
	old, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	parts := strings.Split("\n"+string(old), "\n## ")
	at := slices.IndexFunc(parts, func(p string) bool { return strings.HasPrefix(p, section+"\n") })
	if at < 1 {
		parts, at = append(parts, ""), len(parts)
	}
	parts[at] = strings.TrimPrefix(text, "## ")
	for i, p := range parts {
		parts[i] = strings.Trim(p, "\n") + "\n"
	}
	return os.WriteFile(filepath.Clean(file), []byte(strings.TrimLeft(strings.Join(parts, "\n## "), "\n")), 0o644)
}

func TestReplaceSection(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	require.NoError(t, os.WriteFile(file, []byte("# Results\n\nWords.\n\n## One\n\nold\n\n## Two\n\nstays\n"), 0o600))
	require.NoError(t, replaceSection(file, "One", "## One\n\nnew\n"))
	require.NoError(t, replaceSection(file, "Three", "## Three\n\nmore\n"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "# Results\n\nWords.\n\n## One\n\nnew\n\n## Two\n\nstays\n\n## Three\n\nmore\n", string(text))
}

// each divides the figures of one round by those of another way in the same round.
func each(a, b []float64) []float64 {
	var ratios []float64
	for i := range a {
		ratios = append(ratios, a[i]/b[i])
	}
	return ratios
}
