// Package proof is what shows an erasure afterwards: the chain of certificates, its export, and the anchor
// by which a database that has gone back in time is noticed. It runs no SQL.
package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Certificate proves the erasure of one order. It holds no personal data.
type Certificate struct {
	Number         int64            `json:"number"` // 1, 2, 3, ... without a gap
	OrderRef       string           `json:"order_ref"`
	ErasedAt       time.Time        `json:"erased_at"`
	Clock          string           `json:"clock,omitempty"` // why it was due; empty in old certificates
	ERPImportedAt  *time.Time       `json:"erp_imported_at"` // nil: the ERP never had it
	ERPOrderNumber *string          `json:"erp_order_number"`
	PolicyHash     string           `json:"policy_hash"`            // Policy.Hash of the policy that was applied
	RowCounts      map[string]int64 `json:"row_counts"`             // rows deleted or overwritten, by table
	Verification   map[string]int64 `json:"verification,omitempty"` // Left and Shared; nil in old certificates

	// Of supplements alone: certificates that tell what a later search has found of an order that has one already.
	// They hash as the others, which leave these out.
	Searched   map[string]int64  `json:"searched,omitempty"`   // Places and Values
	Found      map[string]int64  `json:"found,omitempty"`      // rows that hold a value of the order, by "schema.table.column"; 0: they are gone
	Unsearched map[string]string `json:"unsearched,omitempty"` // why nothing is known, by table

	PreviousHash string `json:"previous_hash"`
	Hash         string `json:"hash"`
}

// What Certificate.Searched tells.
const (
	Places = "places" // tables and materialized views that were searched as a whole
	Values = "values" // of the order that were looked for
)

// The Clocks of supplements, which add to what an order's certificate says.
const (
	ClockResidue = "residue" // what a search for copies found, which may be nothing; ErasedAt is when it searched
	ClockShared  = "shared"  // rows that had stayed with other orders have gone with the last of these
	ClockPolicy  = "policy"  // the order was erased once more, since the policy has changed
)

// IsSupplement tells whether the certificate adds to another one of its order.
func (c Certificate) IsSupplement() bool {
	return c.Clock == ClockResidue || c.Clock == ClockShared || c.Clock == ClockPolicy
}

// What Certificate.Verification tells: the result of looking for what should be gone.
const (
	Left   = "left"   // rows that still hold it: 0, or there would be no certificate
	Shared = "shared" // rows that were left, since orders that are not erased have them, too
)

// genesis stands where the first certificate's predecessor would.
var genesis = strings.Repeat("0", 2*sha256.Size)

// Chain is how far a chain of certificates goes. The zero value is an empty chain.
//
// Whoever can write the table can also cut off its end, or make the whole chain anew. Against that
// helps noting Number and Hash somewhere else from time to time.
type Chain struct {
	Number int64  `json:"number"` // of the last certificate; 0: none
	Hash   string `json:"hash"`   // of the last certificate
}

// BrokenError names the first certificate at which a chain does not hold.
type BrokenError struct {
	Number int64
	Reason string
}

// Error says what is wrong with which certificate.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("certificate %d %s", e.Number, e.Reason)
}

// Seal gives a certificate its number and hashes and makes it the chain's last.
func (c *Chain) Seal(cert Certificate) Certificate {
	cert.Number = c.Number + 1
	cert.PreviousHash = c.last()
	cert.Hash = cert.sum()
	c.Number, c.Hash = cert.Number, cert.Hash
	return cert
}

// Verify checks that cert is the chain's next one, unchanged, and makes it the chain's last. It
// returns a *BrokenError, and leaves the chain as it is, if it is not.
func (c *Chain) Verify(cert Certificate) error {
	next := c.Number + 1
	switch {
	case cert.Number > next:
		return &BrokenError{Number: next, Reason: "is missing or out of order"}
	case cert.Number < next:
		return &BrokenError{Number: cert.Number, Reason: "is inserted or out of order"}
	case cert.Hash != cert.sum():
		return &BrokenError{Number: next, Reason: "was changed"}
	case cert.PreviousHash != c.last():
		return &BrokenError{Number: next, Reason: "does not follow the one before it"}
	}
	c.Number, c.Hash = cert.Number, cert.Hash
	return nil
}

func (c *Chain) last() string {
	if c.Number == 0 {
		return genesis
	}
	return c.Hash
}

// canonicalTime is as exact as Postgres keeps times.
func canonicalTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// sum is the certificate's hash: SHA-256, in hex, of its canonical JSON followed by the hash of the
// certificate before it. The form never changes, or old certificates could not be verified: what is
// new is left out where it is empty.
func (c Certificate) sum() string {
	form := make(canonical, 0, 512)
	form = append(form, `{"number":`...)
	form = strconv.AppendInt(form, c.Number, 10)
	form = form.text("order_ref", c.OrderRef).text("erased_at", canonicalTime(c.ErasedAt))
	form = form.textOrNull("erp_imported_at", imported(c.ERPImportedAt)).textOrNull("erp_order_number", c.ERPOrderNumber)
	form = form.text("policy_hash", c.PolicyHash).counts("row_counts", c.RowCounts)
	if c.Clock != "" {
		form = form.text("clock", c.Clock)
	}
	for _, member := range []struct {
		name   string
		counts map[string]int64
	}{{"verification", c.Verification}, {"searched", c.Searched}, {"found", c.Found}} {
		if len(member.counts) > 0 {
			form = form.counts(member.name, member.counts)
		}
	}
	if len(c.Unsearched) > 0 {
		form = append(form.name("unsearched"), CanonicalJSON(c.Unsearched)...)
	}
	form = append(form, '}')
	sum := sha256.Sum256(append(form, c.PreviousHash...))
	return hex.EncodeToString(sum[:])
}

func imported(t *time.Time) *string {
	if t == nil {
		return nil
	}
	return new(canonicalTime(*t))
}

// canonical is a certificate's canonical JSON as far as it is written: a run seals thousands a second, and through
// reflection this alone took as long as the rest of kvit's part in an erasure. What it writes is what CanonicalJSON would.
type canonical []byte

// name begins a member.
func (f canonical) name(name string) canonical {
	f = append(f, ',', '"')
	f = append(f, name...)
	return append(f, '"', ':')
}

func (f canonical) text(name, value string) canonical { return f.name(name).quoted(value) }

func (f canonical) textOrNull(name string, value *string) canonical {
	if value == nil {
		return append(f.name(name), "null"...)
	}
	return f.text(name, *value)
}

// counts writes an object in the order of its keys; none is {}, as in the database.
func (f canonical) counts(name string, counts map[string]int64) canonical {
	f = append(f.name(name), '{')
	for i, key := range slices.Sorted(maps.Keys(counts)) {
		if i > 0 {
			f = append(f, ',')
		}
		f = append(f.quoted(key), ':')
		f = strconv.AppendInt(f, counts[key], 10)
	}
	return append(f, '}')
}

// quoted writes a string.
func (f canonical) quoted(s string) canonical {
	if strings.ContainsFunc(s, isUnusual) {
		return append(f, CanonicalJSON(s)...)
	}
	f = append(f, '"')
	f = append(f, s...)
	return append(f, '"')
}

// isUnusual is true of characters that JSON may write in another way than as they are.
func isUnusual(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }

// CanonicalJSON is compact, leaves <, > and & as they are, and ends without a newline, so that
// other programs can make the same bytes.
func CanonicalJSON(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic("proof: encode canonical form: " + err.Error()) // strings, numbers and maps of them always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
