package erasure

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/erasure/proof"
	"kvit/store"
)

// Orders that were erased before the policy got a table and a column are erased again when somebody asks for it: what
// was forgotten goes, what was erased stays as it is, and the chain says so.
func TestOrdersOfAnEarlierPolicy(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]bool{"ColumnsOfTheShop": false, "MarksOfKvit": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			if own {
				s.keepOwnMarks()
			}
			s.HashKey = store.NewHashKey("key")
			s.writes("email", policy.Hash)
			s.exec(`create table public.notes (id bigint generated always as identity primary key, order_number text, note text)`)
			for _, ref := range []string{"E1", "E2", "E3"} {
				s.order(ref, 31*day)
				s.exec(`insert into public.notes (order_number, note) values ($1, $2)`, ref, marker)
			}
			s.exec(`alter table public.orders add column comment text default 'Mxrkxr'`)
			s.writes("comment", policy.Keep)
			s.notice()
			s.imported(31*day, "true")
			require.Equal(t, 3, s.run().Orders)
			s.order("E4", day)
			s.notice()
			hashed := value[string](s, `select email from public.orders where order_number = 'E1'`)
			erasedAt := value[string](s, `select `+s.mark("erased_at")+`::text from public.orders o where order_number = 'E1'`)
			require.Empty(t, s.outdatedFindings(t.Context(), *s.Orders))

			s.writes("comment", policy.Null)
			s.Policy.Tables = append(s.Policy.Tables, policy.Table{Name: "public.notes", Match: &policy.Match{Column: "order_number", OrderColumn: "order_number"}, DeleteRows: true})
			s.exec(`insert into kvit.legal_hold (order_ref, reason, placed_by) values ('E3', 'audit', 'ops')`)
			found := s.outdatedFindings(t.Context(), *s.Orders)
			require.Len(t, found, 1)
			require.Contains(t, found[0].Problem, "3 orders were erased by an earlier policy")
			require.Zero(t, s.run().Orders, "a run by itself does not touch them")

			dry, err := s.DryAgain(t.Context())
			require.NoError(t, err)
			require.Equal(t, int64(1), dry.Columns["public.orders"]["comment"]/2)
			require.Equal(t, 3, value[int](s, `select count(*) from public.notes where order_number < 'E4'`))

			report, err := s.Again(t.Context())
			require.NoError(t, err)
			require.Equal(t, 2, report.Orders)
			require.Equal(t, 1, report.Held)
			require.Equal(t, map[string]int64{"public.notes": 2, "public.orders": 2}, positive(report.Rows))
			require.Equal(t, []string{"E3"}, value[[]string](s, `select array_agg(order_number order by 1) from public.notes`))
			require.Equal(t, 2, value[int](s, `select count(*) from public.orders where comment is not null`))
			require.Equal(t, hashed, value[string](s, `select email from public.orders where order_number = 'E1'`), "hashed once")
			require.Equal(t, erasedAt, value[string](s, `select `+s.mark("erased_at")+`::text from public.orders o where order_number = 'E1'`))
			all := s.allCertificates()
			last := all[len(all)-1]
			require.Equal(t, []string{"E2", proof.ClockPolicy, s.policy().Hash()}, []string{last.OrderRef, last.Clock, last.PolicyHash})
			require.True(t, last.IsSupplement())

			again, err := s.Again(t.Context())
			require.NoError(t, err)
			require.Zero(t, again.Orders, "those are of the present policy now")
			require.Len(t, s.allCertificates(), len(all))
		})
	}
}

func positive(counts map[string]int64) map[string]int64 {
	list := map[string]int64{}
	for name, n := range counts {
		if n > 0 {
			list[name] = n
		}
	}
	return list
}

// A table that the policy does not fit keeps everything from being called erased again.
func TestAgainWaitsForTheWholePolicy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.run()
	s.Policy.Tables = append(s.Policy.Tables, policy.Table{Name: "public.missing", Match: &policy.Match{Column: "order_number", OrderColumn: "order_number"}, DeleteRows: true})
	_, err := s.Again(t.Context())
	require.True(t, IsMisfit(err), "%v", err)
	require.Len(t, s.allCertificates(), 1)
}
