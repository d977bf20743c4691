package proof_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/proof"
)

func randomChain(random *rand.Rand, n int) []proof.Certificate {
	var chain proof.Chain
	list := make([]proof.Certificate, n)
	for i := range list {
		cert := proof.Certificate{
			OrderRef:      fmt.Sprintf("E%d<&>\"æ", random.IntN(1000)),
			ErasedAt:      time.UnixMicro(random.Int64N(2e15)).UTC(),
			ERPImportedAt: new(time.UnixMicro(random.Int64N(2e15)).UTC()),
			PolicyHash:    fmt.Sprintf("%064x", random.Uint64()),
			RowCounts:     map[string]int64{"public.orders": 1, "kvit.event": random.Int64N(9)},
		}
		if random.IntN(2) == 0 {
			number := fmt.Sprintf("SO-%d", random.IntN(1000))
			cert.ERPOrderNumber = &number
		}
		if random.IntN(2) == 0 { // those of version 0.1 have neither
			cert.Clock, cert.Verification = "imported", map[string]int64{proof.Left: 0, proof.Shared: random.Int64N(3)}
		}
		if random.IntN(3) == 0 {
			cert.Clock, cert.Found = proof.ClockResidue, map[string]int64{"public.audit.old_row": random.Int64N(3)}
			cert.Searched, cert.Unsearched = map[string]int64{proof.Places: 3}, map[string]string{"public.archive": "time over"}
		}
		list[i] = chain.Seal(cert)
	}
	return list
}

func verify(list []proof.Certificate) error {
	var chain proof.Chain
	for _, c := range list {
		if err := chain.Verify(c); err != nil {
			return err
		}
	}
	return nil
}

func requireBroken(t *testing.T, number int64, list []proof.Certificate) {
	t.Helper()
	var broken *proof.BrokenError
	require.ErrorAs(t, verify(list), &broken)
	require.Equal(t, number, broken.Number, broken.Reason)
}

func TestSealedChainVerifies(t *testing.T) {
	t.Parallel()
	list := randomChain(rand.New(rand.NewPCG(1, 2)), 50)
	require.NoError(t, verify(list))
	require.Equal(t, strings.Repeat("0", 64), list[0].PreviousHash)
	for i, c := range list {
		require.Equal(t, int64(i+1), c.Number)
	}
}

// Old certificates must verify for ever: the form that is hashed is fixed.
func TestHashOfACertificate(t *testing.T) {
	t.Parallel()
	erpNumber := "SO-1"
	zone := time.FixedZone("", 7200)
	cert := new(proof.Chain).Seal(proof.Certificate{
		OrderRef: "E1<&", ErasedAt: time.Date(2026, 2, 3, 6, 5, 6, 7000, zone), ERPImportedAt: new(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		ERPOrderNumber: &erpNumber, PolicyHash: "p", RowCounts: map[string]int64{"b": 2, "a": 1},
	})
	// printf '%s%064d' '{"number":1,"order_ref":"E1<&","erased_at":"2026-02-03T04:05:06.000007Z","erp_imported_at":"2026-01-02T03:04:05.000000Z","erp_order_number":"SO-1","policy_hash":"p","row_counts":{"a":1,"b":2}}' 0 | sha256sum
	require.Equal(t, "880ff497f4495a3a154463901220130ad437319538e6cc7e1223364f99e79487", cert.Hash)

	cert = new(proof.Chain).Seal(proof.Certificate{
		OrderRef: "E2", ErasedAt: cert.ErasedAt, Clock: "never_imported", PolicyHash: "p", RowCounts: map[string]int64{"a": 1},
		Verification: map[string]int64{proof.Shared: 1, proof.Left: 0},
	})
	// printf '%s%064d' '{"number":1,"order_ref":"E2","erased_at":"2026-02-03T04:05:06.000007Z","erp_imported_at":null,"erp_order_number":null,"policy_hash":"p","row_counts":{"a":1},"clock":"never_imported","verification":{"left":0,"shared":1}}' 0 | sha256sum
	require.Equal(t, "10cdc35d55e560c70a641ae414e284bcde1cded236d2ab0af86c5fc710e11fbc", cert.Hash)

	cert = new(proof.Chain).Seal(proof.Certificate{
		OrderRef: "E2", ErasedAt: cert.ErasedAt, Clock: proof.ClockResidue, PolicyHash: "p",
		Searched: map[string]int64{proof.Values: 5, proof.Places: 9}, Found: map[string]int64{"a.b": 1}, Unsearched: map[string]string{"c.d": "time over"},
	})
	// printf '%s%064d' '{"number":1,"order_ref":"E2","erased_at":"2026-02-03T04:05:06.000007Z","erp_imported_at":null,"erp_order_number":null,"policy_hash":"p","row_counts":{},"clock":"residue","searched":{"places":9,"values":5},"found":{"a.b":1},"unsearched":{"c.d":"time over"}}' 0 | sha256sum
	require.Equal(t, "2a370c9f9bdd9c0dc24aab3714d485bbbb2e6e0420de467c7bc12c66a7e05995", cert.Hash)
}

// However the canonical form is written, its bytes are those of encoding/json without HTML's escapes.
func TestHashIsThatOfTheFormAsJSON(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	chain := randomChain(random, 50)
	odd := []string{"", "<&>'/", "\"", "\\", "\x00\x1f\n\t", "\x7f", "æøå€", "\u2028\u2029", "\xff\xfe", "\ufffd", "😀"}
	for _, text := range odd {
		var c proof.Chain
		chain = append(chain, c.Seal(proof.Certificate{
			OrderRef: text, Clock: text, ERPOrderNumber: &text, PolicyHash: text, RowCounts: map[string]int64{text: -1, "b": 1, "a": 2},
			Verification: map[string]int64{text: 1}, Searched: map[string]int64{}, Unsearched: map[string]string{text: text},
		}), c.Seal(proof.Certificate{OrderRef: text}))
	}
	for _, cert := range chain {
		require.Equal(t, hashThroughReflection(cert), cert.Hash, "%+v", cert)
	}
}

func hashThroughReflection(c proof.Certificate) string {
	const layout = "2006-01-02T15:04:05.000000Z"
	if c.RowCounts == nil {
		c.RowCounts = map[string]int64{}
	}
	var imported *string
	if c.ERPImportedAt != nil {
		imported = new(c.ERPImportedAt.UTC().Format(layout))
	}
	form := proof.CanonicalJSON(struct {
		Number         int64             `json:"number"`
		OrderRef       string            `json:"order_ref"`
		ErasedAt       string            `json:"erased_at"`
		ERPImportedAt  *string           `json:"erp_imported_at"`
		ERPOrderNumber *string           `json:"erp_order_number"`
		PolicyHash     string            `json:"policy_hash"`
		RowCounts      map[string]int64  `json:"row_counts"`
		Clock          string            `json:"clock,omitempty"`
		Verification   map[string]int64  `json:"verification,omitempty"`
		Searched       map[string]int64  `json:"searched,omitempty"`
		Found          map[string]int64  `json:"found,omitempty"`
		Unsearched     map[string]string `json:"unsearched,omitempty"`
	}{
		c.Number, c.OrderRef, c.ErasedAt.UTC().Format(layout), imported, c.ERPOrderNumber, c.PolicyHash, c.RowCounts,
		c.Clock, c.Verification, c.Searched, c.Found, c.Unsearched,
	})
	sum := sha256.Sum256(append(form, c.PreviousHash...))
	return hex.EncodeToString(sum[:])
}

// Whatever is done to one certificate of a random chain, the first one that is wrong is named.
func TestTamperingIsNamed(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	other := "another"
	changes := []func(*proof.Certificate){
		func(c *proof.Certificate) { c.OrderRef += "x" },
		func(c *proof.Certificate) { c.ErasedAt = c.ErasedAt.Add(time.Microsecond) },
		func(c *proof.Certificate) { c.ERPImportedAt = new(c.ERPImportedAt.Add(-time.Microsecond)) },
		func(c *proof.Certificate) { c.ERPImportedAt = nil },
		func(c *proof.Certificate) { c.Clock += "x" },
		func(c *proof.Certificate) { c.Verification = map[string]int64{"left": 1} },
		func(c *proof.Certificate) { c.ERPOrderNumber = &other },
		func(c *proof.Certificate) { c.Searched = map[string]int64{proof.Places: 4} },
		func(c *proof.Certificate) { c.Found = map[string]int64{"public.audit.old_row": 9} },
		func(c *proof.Certificate) { c.Unsearched = map[string]string{"public.archive": "locked"} },
		func(c *proof.Certificate) { c.PolicyHash = "x" },
		func(c *proof.Certificate) { c.RowCounts = map[string]int64{"public.orders": 2} },
		func(c *proof.Certificate) { c.PreviousHash = strings.Repeat("1", 64) },
		func(c *proof.Certificate) { c.Hash = strings.Repeat("1", 64) },
	}
	for range 200 {
		n := 2 + random.IntN(12)
		list := randomChain(random, n)
		i := random.IntN(n)
		number := int64(i + 1)

		changed := slices.Clone(list)
		changes[random.IntN(len(changes))](&changed[i])
		requireBroken(t, number, changed)

		requireBroken(t, number, slices.Insert(slices.Clone(list), i+1, list[i]))
		requireBroken(t, number, slices.Insert(slices.Clone(list), i, randomChain(random, n)[i]))

		if i == n-1 {
			continue // a chain without its end is a shorter chain
		}
		requireBroken(t, number, slices.Delete(slices.Clone(list), i, i+1))
		swapped := slices.Clone(list)
		swapped[i], swapped[n-1] = swapped[n-1], swapped[i]
		requireBroken(t, number, swapped)

		// A forger who also makes the hash anew gives himself away at the next one.
		forged := slices.Clone(list)
		before := proof.Chain{Number: int64(i), Hash: list[i].PreviousHash}
		forged[i].OrderRef += "x"
		forged[i] = before.Seal(forged[i])
		requireBroken(t, number+1, forged)
	}
}

func TestVerifyFromTheMiddle(t *testing.T) {
	t.Parallel()
	list := randomChain(rand.New(rand.NewPCG(3, 4)), 10)
	chain := proof.Chain{Number: 4, Hash: list[3].Hash}
	for _, c := range list[4:] {
		require.NoError(t, chain.Verify(c))
	}
	require.Equal(t, proof.Chain{Number: 10, Hash: list[9].Hash}, chain)
}

func export(t testing.TB, list []proof.Certificate) string {
	var b bytes.Buffer
	for _, c := range list {
		require.NoError(t, json.NewEncoder(&b).Encode(c))
	}
	return b.String()
}

func TestExportIsReadBack(t *testing.T) {
	t.Parallel()
	list := randomChain(rand.New(rand.NewPCG(5, 6)), 10)
	var got []proof.Certificate
	var chain proof.Chain
	require.NoError(t, proof.ReadCertificates(strings.NewReader(export(t, list)), func(c proof.Certificate) error {
		got = append(got, c)
		return chain.Verify(c)
	}))
	require.Equal(t, list, got)
}

func TestExportWithABrokenLine(t *testing.T) {
	t.Parallel()
	good := export(t, randomChain(rand.New(rand.NewPCG(5, 6)), 1))
	for name, bad := range map[string]string{
		"NoJSON": "secret", "Array": "[]", "WrongType": `{"number": "secret"}`, "UnknownField": `{"secret": 1}`, "TwoOnALine": "{} {}", "Time": `{"erased_at": "secret"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := proof.ReadCertificates(strings.NewReader(good+"\n"+bad+"\n"), func(proof.Certificate) error { return nil })
			require.EqualError(t, err, "line 3 is no certificate")
		})
	}
}

func FuzzReadCertificates(f *testing.F) {
	f.Add(export(f, randomChain(rand.New(rand.NewPCG(7, 8)), 3)))
	f.Add("{}\n\n{\"number\":1}")
	f.Add(`{"number":1,"row_counts":{"a":-1},"erased_at":"9999-12-31T23:59:59Z"}`)
	f.Add("\x00\xff")
	f.Fuzz(func(_ *testing.T, text string) {
		var chain proof.Chain
		_ = proof.ReadCertificates(strings.NewReader(text), chain.Verify)
	})
}
