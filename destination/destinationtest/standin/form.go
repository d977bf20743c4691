package standin

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"
)

var (
	email    = regexp.MustCompile(`[^\s/?&=@]+(@|%40)[^\s/?&=@]+\.[a-z]{2,}`)
	hexHash  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
)

// HasEmail tells whether a text, such as the address of a page, holds an e-mail address.
func HasEmail(texts ...string) bool { return slices.ContainsFunc(texts, email.MatchString) }

// IsSHA256 tells whether a text is a hash in lower-case hexadecimal digits.
func IsSHA256(text string) bool { return hexHash.MatchString(text) }

// IsCurrency tells whether a text has the form of a code of ISO 4217.
func IsCurrency(text string) bool { return currency.MatchString(text) }

// IsIP tells whether a text is an IP address.
func IsIP(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// IsUnixSeconds takes times up to the year 2286: what is beyond them are milliseconds.
func IsUnixSeconds(n int64) bool { return n > 0 && n <= 9_999_999_999 }

// Each reads values of JSON strictly, and returns what check has against the first that it does not take.
func Each[T any](list []json.RawMessage, check func(T) string) (values []T, problem string) {
	values = make([]T, len(list))
	for i, raw := range list {
		if err := Strict(raw, &values[i]); err != nil {
			return nil, "data: an event has an unknown field or a wrong type"
		}
		if problem := check(values[i]); problem != "" {
			return nil, problem
		}
	}
	return values, ""
}
