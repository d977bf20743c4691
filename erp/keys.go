package erp

import (
	"kvit/config"
	"kvit/destination"
)

// CheckOwnNumber refuses a ref_field that names documents' own number without a stated ref_prefix: numbers rarely have
// the one that is the default, and then no document would ever be found.
func CheckOwnNumber(s *config.Section, refField, ownNumber string) {
	if refField == ownNumber && !s.Has("ref_prefix") {
		s.Problem("ref_field", ownNumber+" needs ref_prefix, too: what the number begins with, or none")
	}
}

// IsLocal tells whether an address leads to this machine, where a stand-in of an ERP may run: a client has to be allowed
// to connect there, see ClientOptions.AllowPrivate.
func IsLocal(address string) bool {
	local, err := destination.CheckAddress(address)
	return err == nil && local
}
