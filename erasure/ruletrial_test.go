package erasure

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the database refuses shows when a rule's statements are tried, by day, on a row that need not be due.
func TestRulesAreTried(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ schema, says string }{
		"Fits": {`select 1`, ""},
		"TriggerRefuses": {`create function public.no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
			create trigger no before delete on public.carts for each row execute function public.no()`, "was tried on a row, and cannot be erased as the rule says: database error P0001"},
		"TriggerKeepsAChild": {`create function public.no() returns trigger language plpgsql as $$ begin return null; end $$;
			create trigger no before delete on public.cart_items for each row execute function public.no()`, "cannot be erased as the rule says"},
		"RefusedAtTheCommit": {`create function public.no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
			create constraint trigger no after delete on public.carts deferrable initially deferred for each row execute function public.no()`, "database error P0001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCarts(t)
			s.cart(1, day)
			s.exec(c.schema)
			found, err := s.CheckTables(t.Context())
			require.NoError(t, err)
			require.Equal(t, map[int]int{1: 2}, s.carts(), "it is rolled back")
			if c.says == "" {
				require.Empty(t, found[0].Problems)
				return
			}
			require.Len(t, found[0].Problems, 1)
			require.Contains(t, found[0].Problems[0].String(), c.says)
		})
	}
}
