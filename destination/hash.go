package destination

import (
	"crypto/sha256"
	"encoding/hex"
)

// SHA256Hex returns the SHA-256 of the text's UTF-8 bytes as 64 lower-case hexadecimal digits, the
// form in which providers of advertising take personal data. Each normalises the text in its own way
// first.
func SHA256Hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Hashed is SHA256Hex of a normalised text, and empty for an empty one: its hash would be everybody's.
func Hashed(normal string) string {
	if normal == "" {
		return ""
	}
	return SHA256Hex(normal)
}

// HashedList is Hashed for providers that take lists; nil for an empty text.
func HashedList(normal string) []string {
	if normal == "" {
		return nil
	}
	return []string{SHA256Hex(normal)}
}
