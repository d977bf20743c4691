package policy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
)

func TestOneWayErasesWhatAnotherFindsRowsBy(t *testing.T) {
	t.Parallel()
	column := func(name, strategy string) policy.Column { return policy.Column{Name: name, Strategy: strategy} }
	way := func(match, when string, columns ...policy.Column) policy.Table {
		return policy.Table{Name: "public.notes", Match: &policy.Match{Column: match, OrderColumn: "id"}, When: when, Columns: columns}
	}
	first := way("order_id", "", column("author", policy.Null), column("body", policy.Keep), column("order_id", policy.Null))
	for name, c := range map[string]struct {
		second  policy.Table
		problem bool
	}{
		"ByItsCondition":         {way("other_id", "Author is not null", column("author", policy.Keep), column("body", policy.Null)), true},
		"ByItsMatch":             {way("order_id", "", column("author", policy.Keep), column("body", policy.Null)), true},
		"ByAnotherColumn":        {way("other_id", "authored", column("author", policy.Keep), column("body", policy.Null)), false},
		"ButItErasesNothingElse": {way("order_id", "author <> ''", column("author", policy.Null), column("body", policy.Keep)), false},
		"ButItDeletesFirst":      {policy.Table{Name: "public.notes", Match: &policy.Match{Column: "order_id", OrderColumn: "id"}, DeleteRows: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := policy.Policy{Tables: []policy.Table{first, c.second}}
			found := false
			for _, problem := range p.Check(policy.Database{}) {
				found = found || problem.Table == "public.notes" && problem.Column != "" && strings.HasPrefix(problem.Problem, "is erased by one way")
			}
			require.Equal(t, c.problem, found)
		})
	}
}
