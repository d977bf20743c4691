package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kindsFile has the one line of each kind; demoList is what the demo knows of those that only it has.
const (
	kindsFile = "cmd/kvit/kinds.go"
	demoList  = "cmd/kvit/demo/providers.go"
)

// demosOwn are the kinds around which the demo is built, so that all of it may name them.
var demosOwn = []string{"spread", "webhook"}

// TestAKindIsOneFolderAndOneLine counts where kinds are named: a provider is added by its folder and its
// line in kinds.go. Comments may cite them.
func TestAKindIsOneFolderAndOneLine(t *testing.T) {
	t.Parallel()
	packages := kindPackages(t)
	require.Len(t, packages, len(kinds))
	for _, file := range ownSources(t) {
		words := wordsOf(t, file)
		for i, kind := range kinds {
			inDemo := file == demoList || strings.HasPrefix(file, "cmd/kvit/demo/") && slices.Contains(demosOwn, kind.Name)
			// A webhook is also a channel that alarms are told by.
			inNotify := kind.Name == "webhook" && (file == "config/notify.go" || strings.HasPrefix(file, "notify/"))
			if inDemo || inNotify || strings.HasPrefix(file, "destination/"+packages[i]+"/") {
				continue
			}
			want := 0
			if file == kindsFile {
				want = 1 // the import; the line is one of packages
			}
			name := kind.Name
			if name == "http" {
				name = packages[i] // "http" is a scheme in many files, so that its package alone is counted
			}
			require.Equal(t, want, words.count(name, packages[i]), "%s names %s", file, name)
		}
	}
}

// TestNamingAKindIsSeen makes sure that the test above counts something.
func TestNamingAKindIsSeen(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`import "kvit/destination/ga4"`:                     1,
		`import "kvit/destination/ga4/ga4test"`:             1,
		`const kind = "ga4"`:                                1,
		`var KindGA4 = 1`:                                   1,
		`func ga4Of() {}`:                                   1,
		"const example = `kvit backfill --destination ga4`": 0,
		`const other = "ga40"`:                              0,
		`var x = 1 // ga4`:                                  0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+text, 0)
		require.NoError(t, err)
		require.Equal(t, want, wordsIn(file).count("ga4", "ga4"), text)
	}
}

// kindPackages are the packages of kinds, in their order.
func kindPackages(t *testing.T) []string {
	t.Helper()
	var packages []string
	for node := range ast.Preorder(parse(t, kindsFile)) {
		if selector, ok := node.(*ast.SelectorExpr); ok && selector.Sel.Name == "Kind" {
			if name := selector.X.(*ast.Ident).Name; name != "config" {
				packages = append(packages, name)
			}
		}
	}
	return packages
}

// words are what a file says beside its comments.
type words struct {
	texts       []string // of imports and other literals
	identifiers []string
}

func wordsOf(t *testing.T, file string) words {
	t.Helper()
	return wordsIn(parse(t, file))
}

func wordsIn(file *ast.File) words {
	var w words
	for node := range ast.Preorder(file) {
		switch n := node.(type) {
		case *ast.Ident:
			w.identifiers = append(w.identifiers, n.Name)
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil {
				w.texts = append(w.texts, text)
			}
		}
	}
	return w
}

// count is how often the words name a kind, or its package: as a whole text, by an import, or by an
// identifier as in KindGA4 and ga4Of. A text that says more is for people, such as an example of a command.
func (w words) count(kind, pkg string) int {
	whole := regexp.MustCompile(`^(?:` + kind + `|` + pkg + `|kvit/destination/` + pkg + `(?:/.*)?)$`)
	part := regexp.MustCompile(`^` + pkg + `[A-Z]|(?i:kind` + pkg + `)`)
	count := 0
	for _, text := range w.texts {
		if whole.MatchString(text) {
			count++
		}
	}
	for _, identifier := range w.identifiers {
		if part.MatchString(identifier) {
			count++
		}
	}
	return count
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", file), nil, 0)
	require.NoError(t, err)
	return parsed
}

// ownSources are the project's Go files that are no tests.
func ownSources(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			files = append(files, strings.TrimPrefix(filepath.ToSlash(path), "../../"))
		}
		return nil
	})
	require.NoError(t, err)
	require.Contains(t, files, kindsFile)
	return files
}
