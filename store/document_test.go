package store_test

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
)

// TestDocumentsAsTheFunction: what is left of random documents under random plans is what
// kvit.erase_json leaves, which walks through plan and document step by step.
func TestDocumentsAsTheFunction(t *testing.T) {
	t.Parallel()
	tx, _ := ordersTx(t, "text")
	inner, outer := pads()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 150 {
		plan, value := planAt(random, 3), documentAt(random, 4)
		got, err := erased(t, tx, "jsonb", &value, store.Write{Strategy: "json", Type: "jsonb", Plan: []byte(plan)}, store.NewHashKey(hashSecret))
		require.NoError(t, err, "%s of %s", plan, value)
		var want string
		require.NoError(t, tx.QueryRow(t.Context(), `
			select coalesce(kvit.erase_json($1, $2, $3, $4, false), case when $2::jsonb ? 'items' then '[]' else '{}' end::jsonb)`,
			value, plan, inner, outer).Scan(&want))
		require.JSONEq(t, want, *got, "%s of %s", plan, value)
	}
}

// pads are those of RFC 2104, section 2, for hashSecret.
func pads() (inner, outer []byte) {
	inner, outer = make([]byte, sha256.BlockSize), make([]byte, sha256.BlockSize)
	copy(inner, hashSecret)
	copy(outer, hashSecret)
	for i := range inner {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	return inner, outer
}

func planAt(random *rand.Rand, depth int) string {
	leaves := []string{
		`{"strategy": "keep"}`, `{"strategy": "null"}`, `{"strategy": "text", "text": "erased"}`, `{"strategy": "hash"}`,
		`{"strategy": "generalise", "length": 2}`, `{"strategy": "truncate_date", "unit": "month"}`, `{"strategy": "truncate_date", "unit": "year"}`,
	}
	switch n := random.IntN(8); {
	case depth == 0 || n < 2:
		return leaves[random.IntN(len(leaves))]
	case n < 4:
		return `{"items": ` + planAt(random, depth-1) + `}`
	default:
		return `{"members": {"a": ` + planAt(random, depth-1) + `, "b": ` + planAt(random, depth-1) + `}}`
	}
}

func documentAt(random *rand.Rand, depth int) string {
	leaves := []string{`"Jane"`, `"2026-03-31T23:00:00Z"`, `"31.3."`, `2100`, `-1.5`, `true`, `null`, `""`, `{}`, `[]`}
	switch n := random.IntN(8); {
	case depth == 0 || n < 2:
		return leaves[random.IntN(len(leaves))]
	case n < 4:
		return `[` + documentAt(random, depth-1) + `, ` + documentAt(random, depth-1) + `]`
	case n < 5:
		return `{"a": ` + documentAt(random, depth-1) + `}`
	default:
		return `{"a": ` + documentAt(random, depth-1) + `, "b": ` + documentAt(random, depth-1) + `, "c": "Jane"}`
	}
}

func TestPlanThatIsNone(t *testing.T) {
	t.Parallel()
	tx, _ := ordersTx(t, "text")
	value := `{"a": "Jane"}`
	_, err := erased(t, tx, "jsonb", &value, store.Write{Strategy: "json", Type: "jsonb", Plan: []byte(`{`)}, nil)
	require.ErrorContains(t, err, "read plan of column value")
}
