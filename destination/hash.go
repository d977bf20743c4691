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
