package config

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds nested brackets and dashes on one line: the library's parser recurses, and its time
// grows with the square of the depth. The file itself needs five levels.
const maxDepth = 32

type syntaxError struct {
	line    int
	message string
}

func (e *syntaxError) Error() string { return e.message }

// document parses the one YAML document of a file. It is nil for an empty file.
func document(data []byte) (ast.Node, error) {
	if len(data) > maxFileBytes {
		return nil, &syntaxError{1, fmt.Sprintf("the file is larger than %d KiB", maxFileBytes>>10)}
	}
	if !utf8.Valid(data) {
		return nil, &syntaxError{invalidLine(data), "the file is not UTF-8 text"}
	}
	tokens := lexer.Tokenize(string(bytes.TrimPrefix(data, []byte("\ufeff"))))
	if line := tooDeep(tokens); line > 0 {
		return nil, &syntaxError{line, "values are nested too deeply"}
	}
	// Duplicate keys are let through here and reported by section, which goes on to the next mistake.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, librarySyntaxError(err)
	}
	return onlyDocument(file)
}

// librarySyntaxError keeps message and line of the library's error and drops the rest of its text, which
// quotes the file and with it perhaps a secret.
func librarySyntaxError(err error) error {
	var located interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &located) {
		return &syntaxError{1, "the file is not valid YAML"}
	}
	return &syntaxError{tokenLine(located.GetToken()), "invalid YAML: " + located.GetMessage()}
}

func onlyDocument(file *ast.File) (ast.Node, error) {
	var root ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case root != nil:
			return nil, &syntaxError{nodeLine(doc.Body), "the file holds more than one YAML document"}
		default:
			root = doc.Body
		}
	}
	return root, nil
}

func tooDeep(tokens token.Tokens) int {
	brackets, dashes, dashLine := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType:
			if line := tokenLine(t); line != dashLine {
				dashes, dashLine = 0, line
			}
			dashes++
		}
		if brackets > maxDepth || dashes > maxDepth {
			return tokenLine(t)
		}
	}
	return 0
}

func invalidLine(data []byte) int {
	line := 1
	for len(data) > 0 {
		c, size := utf8.DecodeRune(data)
		if c == utf8.RuneError && size == 1 {
			break
		}
		if c == '\n' {
			line++
		}
		data = data[size:]
	}
	return line
}

func nodeLine(n ast.Node) int {
	if n == nil {
		return 1
	}
	return tokenLine(n.GetToken())
}

func tokenLine(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 1
	}
	return max(1, t.Position.Line)
}
