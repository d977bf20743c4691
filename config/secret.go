package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// Secret is a text that does not print: every way of formatting, logging or encoding it says only
// "(set)" or "(not set)". The zero value is not set.
type Secret struct {
	// A pointer, because fmt cannot call methods on a Secret in an unexported field of another struct:
	// it then prints this address instead of the text.
	value *string
}

// NewSecret makes a secret of text; an empty text is not set.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{value: &text}
}

// Reveal returns the text itself; empty if it is not set.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsSet reports whether there is a text.
func (s Secret) IsSet() bool { return s.value != nil }

// String says whether the secret is set.
func (s Secret) String() string {
	if s.IsSet() {
		return "(set)"
	}
	return "(not set)"
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// Format writes String for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON is String as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

const (
	filePrefix     = "file:"
	maxSecretBytes = 64 << 10
	literalProblem = "must be ${NAME} as a whole, or file:/path: a secret does not belong into this file"
)

var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// variableName reads ${NAME}.
func variableName(text string) (string, bool) {
	m := variable.FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// Secret reads a secret of one line, from an environment variable or a file; not set if the key is left out.
func (s *Section) Secret(name string, checks ...Check) Secret {
	e, ok := s.take(name)
	if !ok {
		return Secret{}
	}
	text, problem := s.reader.secretText(e.value)
	if problem == "" {
		problem = firstProblem(text, append([]Check{notEmpty, OneLine}, checks...))
	}
	if problem != "" {
		s.Problem(name, problem)
		return Secret{}
	}
	return NewSecret(text)
}

// RequiredSecret is Secret for a key that must be there.
func (s *Section) RequiredSecret(name string, checks ...Check) Secret {
	s.Require(name)
	return s.Secret(name, checks...)
}

// RequiredSecretText is RequiredSecret for one that may have several lines. Nothing but the checks looks at it.
func (s *Section) RequiredSecretText(name string, checks ...Check) Secret {
	if !s.Require(name) {
		return Secret{}
	}
	text, problem := s.reader.secretText(s.entries[name].value)
	if problem == "" {
		problem = firstProblem(text, checks)
	}
	if problem != "" {
		s.Problem(name, problem)
		return Secret{}
	}
	return NewSecret(text)
}

// secretText fetches the secret that the value points to.
func (r *reader) secretText(n ast.Node) (text, problem string) {
	written, ok := plainText(n)
	if !ok {
		return "", unexpected(n, literalProblem)
	}
	if path, ok := strings.CutPrefix(written, filePrefix); ok {
		return secretFile(path)
	}
	if _, ok := variableName(written); ok {
		return r.expand(written)
	}
	return "", literalProblem
}

// secretFile reads a mounted secret. It refuses what is not a regular file, since a pipe or device could
// block or never end.
func secretFile(path string) (text, problem string) {
	if !filepath.IsAbs(path) {
		return "", "file: needs an absolute path, as in file:/run/secrets/name"
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "the secret file cannot be read: " + reason(err)
	}
	if !info.Mode().IsRegular() {
		return "", "the secret file is not a regular file"
	}
	f, err := os.Open(path)
	if err != nil {
		return "", "the secret file cannot be read: " + reason(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", "the secret file cannot be read: " + reason(err)
	}
	if len(data) > maxSecretBytes {
		return "", "the secret file is larger than 64 KiB"
	}
	return strings.TrimRight(string(data), "\r\n"), ""
}

// reason leaves the path out: someone who takes "file:" for a prefix of the secret itself would see it printed.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return "unknown reason"
}

// OneLine refuses control characters.
func OneLine(text string) string {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return "contains a line break or another control character"
	}
	return ""
}
