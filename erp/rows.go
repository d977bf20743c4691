package erp

import (
	"encoding/json"
	"regexp"

	"kvit/destination"
)

// IsLocal tells whether an address leads to this machine, where a stand-in of an ERP may run: a client has to be allowed
// to connect there, see ClientOptions.AllowPrivate.
func IsLocal(address string) bool {
	local, err := destination.CheckAddress(address)
	return err == nil && local
}

var plainDecimal = regexp.MustCompile(`^-?[0-9]{1,18}(\.[0-9]{1,9})?$`)

// Decimal is an amount for Document.Total; empty if it is none, or is written as no person writes amounts (1e3).
func Decimal(n json.Number) string {
	if !plainDecimal.MatchString(n.String()) {
		return ""
	}
	return n.String()
}
