package erp

import (
	"encoding/json"
	"regexp"
)

var plainDecimal = regexp.MustCompile(`^-?[0-9]{1,18}(\.[0-9]{1,9})?$`)

// Decimal is an amount for Document.Total; empty if it is none, or is written as no person writes amounts (1e3).
func Decimal(n json.Number) string {
	if !plainDecimal.MatchString(n.String()) {
		return ""
	}
	return n.String()
}
