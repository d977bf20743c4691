// Package docs_test runs what the documentation tells people to type.
package docs_test

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination/spread"
	"kvit/destination/webhook"
	"kvit/store/storetest"
)

func TestMain(m *testing.M) { storetest.Run(m) }

// kinds are those that a whole kvit.yaml shows in the documentation.
var kinds = []config.Kind{spread.Kind, webhook.Kind}

// root is the project's directory, seen from here.
const root = ".."

// block is a fenced block of a Markdown file.
type block struct {
	file     string
	language string
	as       string // the role that runs it; empty: the superuser
	text     string
}

var fence = regexp.MustCompile("(?s)\n *```([a-z]*)(?: as=([a-z_]+))?\n(.*?\n) *```\n")

func blocks(t *testing.T, file string) []block {
	t.Helper()
	text := read(t, file)
	var list []block
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		list = append(list, block{file: file, language: m[1], as: m[2], text: m[3]})
	}
	require.Len(t, list, strings.Count(text, "```")/2, "%s: every fence is read", file)
	return list
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	return string(text)
}

// markdown are the project's Markdown files.
func markdown(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "node_modules") {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".md") {
			files = append(files, name)
		}
		return nil
	})
	require.NoError(t, err)
	require.Contains(t, files, "README.md")
	return files
}

// TestSQL runs every SQL block of every file but the README, in order, on the example shop.
func TestSQL(t *testing.T) {
	t.Parallel()
	shop := newShop(t)
	shop.write(t, configOf(t))
	shop.kvit(t, "migrate", "up")
	for _, file := range markdown(t) {
		if file == "README.md" {
			continue // TestTenSteps
		}
		for _, b := range blocks(t, file) {
			if b.language == "sql" {
				shop.run(t, b)
			}
		}
	}
}

// TestConfigurations parses every YAML block that is a kvit.yaml, and that of compose.yaml.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	files := map[string]string{"deploy/compose/kvit.yaml": read(t, "deploy/compose/kvit.yaml")}
	for _, file := range markdown(t) {
		for _, b := range blocks(t, file) {
			if b.language == "yaml" && looksLikeConfig(b.text) {
				files[file] = b.text
			}
		}
	}
	require.Contains(t, files, "README.md")
	for file, text := range files {
		_, err := config.Parse(file, []byte(text), environment, kinds)
		require.NoError(t, err)
	}
}

var topLevel = regexp.MustCompile(`(?m)^(database|log|ops|shop|delivery|retention):`)

// TestPartsOfConfigurations puts what a page shows of a section into the README's kvit.yaml.
func TestPartsOfConfigurations(t *testing.T) {
	t.Parallel()
	for file, section := range map[string]string{"docs/retention.md": "retention:", "docs/requests.md": "shop:\n  orders:"} {
		tried := 0
		for _, b := range blocks(t, file) {
			if b.language != "yaml" {
				continue
			}
			tried++
			within := strings.Repeat("  ", strings.Count(section, ":"))
			part := within + strings.TrimSpace(dedent(b.text))
			whole := strings.Replace(configOf(t), section, section+"\n"+strings.ReplaceAll(part, "\n", "\n"+within), 1)
			_, err := config.Parse(file, []byte(whole), environment, kinds)
			require.NoError(t, err, "%s", b.text)
		}
		require.Positive(t, tried, file)
	}
}

// dedent takes away what the first line is indented by.
func dedent(text string) string {
	margin := text[:len(text)-len(strings.TrimLeft(text, " "))]
	return strings.ReplaceAll(strings.TrimPrefix(text, margin), "\n"+margin, "\n")
}

func looksLikeConfig(yaml string) bool { return topLevel.MatchString(yaml) }

// environment gives the secrets that the examples name.
func environment(name string) string {
	return map[string]string{
		"DATABASE_URL":       "postgres://kvit@127.0.0.1/shop",
		"DATABASE_READ_URL":  "postgres://kvit@127.0.0.1:5433/shop",
		"ERP_RECEIPTS_TOKEN": "0123456789abcdef0123456789abcdef",
		"ANNA_PASSWORD_HASH": "$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"OIDC_CLIENT_SECRET": "example-client-secret",
		"SPREAD_PUBLIC_KEY":  publicKey,
		"SPREAD_PRIVATE_KEY": privateKey,
		"CRM_URL":            crmURL,
		"CRM_SECRET":         crmSecret,
	}[name]
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// anchors are the headings as links name them.
func anchors(markdown string) []string {
	var names []string
	for _, m := range heading.FindAllStringSubmatch(markdown, -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
				return r
			default:
				return -1
			}
		}, strings.ToLower(m[1]))
		names = append(names, name)
	}
	return names
}

// TestLinks finds links inside the project that lead nowhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, file := range markdown(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join(filepath.Dir(file), cmp.Or(path, filepath.Base(file)))
			_, err := os.Stat(filepath.Join(root, target))
			require.NoError(t, err, "link of %s", file)
			if anchor != "" {
				require.Contains(t, anchors(read(t, target)), anchor, "link of %s", file)
			}
		}
	}
}

var (
	metricInCode = regexp.MustCompile(`"(kvit_[a-z_]+)"`)
	metricInDocs = regexp.MustCompile("(?m)^\\| `(kvit_[a-z_]+)")
)

// TestMetrics keeps the table of metrics complete and true.
func TestMetrics(t *testing.T) {
	t.Parallel()
	var code []string
	for _, file := range []string{"delivery/metrics.go", "erasure/metrics.go", "watch/metrics.go", "web/gauges.go", "web/readgauge.go", "erp/watcher/metrics.go", "status/metrics.go", "notify/notifier.go"} {
		code = append(code, firstGroups(metricInCode, read(t, file))...)
	}
	require.NotEmpty(t, code)
	require.ElementsMatch(t, code, firstGroups(metricInDocs, read(t, "docs/operations.md")))
}

func firstGroups(pattern *regexp.Regexp, text string) []string {
	var found []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}
