package destination

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// JSON writes a value without white space at its end, with <, > and & as they are: escapes for HTML take
// six times the room, and addresses are full of them. It panics on what JSON cannot hold, which no
// adapter makes.
func JSON(value any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic("destination: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Join encloses the bodies of items, with commas between them: the list of a request.
func Join(before string, items []Encoded, after string) []byte {
	size := len(before) + len(after)
	for _, item := range items {
		size += len(item.Body) + 1
	}
	joined := append(make([]byte, 0, size), before...)
	for i, item := range items {
		if i > 0 {
			joined = append(joined, ',')
		}
		joined = append(joined, item.Body...)
	}
	return append(joined, after...)
}

// Cut keeps the first characters of a text.
func Cut(text string, most int) string {
	if len(text) <= most || utf8.RuneCountInString(text) <= most {
		return text
	}
	kept := 0
	for i := range text {
		if kept == most {
			return text[:i]
		}
		kept++
	}
	return text
}

// IsVisibleASCII tells whether a secret can stand in a header: it is not empty, and has neither blanks
// nor control characters, such as the end of a line.
func IsVisibleASCII(text string) bool {
	return text != "" && strings.IndexFunc(text, func(r rune) bool { return r < '!' || '~' < r }) < 0
}

// PageAddress is the address of a page as a provider may see it that takes contact data hashed or not at
// all: shops put e-mail addresses into links. What follows the # is dropped, and so is each part of the
// query that holds an @, and the path from where it does. It is empty if nothing of use is left.
func PageAddress(text string) string {
	text, _, _ = strings.Cut(text, "#")
	address, query, _ := strings.Cut(text, "?")
	parts := strings.Split(address, "/")
	for i, part := range parts {
		if !hasAt(part) {
			continue
		}
		if i < 3 { // https://shop.example.com has three
			return ""
		}
		address = strings.Join(parts[:i], "/") + "/"
		break
	}
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if part != "" && !hasAt(part) {
			kept = append(kept, part)
		}
	}
	if kept == nil {
		return address
	}
	return address + "?" + strings.Join(kept, "&")
}

// WebAddress is PageAddress for providers that take nothing but https and http; empty for anything else.
func WebAddress(text string) string {
	address := PageAddress(text)
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		return address
	}
	return ""
}

// hasAt also looks through escapes of escapes, as redirects leave them.
func hasAt(text string) bool {
	return strings.Contains(strings.ReplaceAll(strings.ReplaceAll(text, "%25", "%"), "%40", "@"), "@")
}
