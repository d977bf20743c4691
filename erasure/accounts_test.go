package erasure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
)

// Name and address stand on the order unless the customer has an account: the columns of a guest's order go, those that
// an account's order has stay with it if the policy says so, and the account keeps its own data either way.
func TestOrderColumnsOfGuestsAndAccounts(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]bool{"ColumnsOfTheShop": false, "MarksOfKvit": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			if own {
				s.keepOwnMarks()
			}
			s.Residue = Residue{Orders: 9, Time: time.Minute}
			s.exec(`alter table public.customers add column account boolean not null default false;
				insert into public.customers values (1, 'Gerda Guestgaard', false), (2, 'Asta Accountgaard', true)`)
			s.Policy.Tables[0].When = "customer_id is null or customer_id in (select id from public.customers where not account) -- guests"
			s.Policy.Tables[3].When = "not account"
			s.Policy.Tables[3].Columns = append(s.Policy.Tables[3].Columns, policy.Column{Name: "account", Strategy: policy.Keep})
			for _, ref := range []string{"G1", "A1"} {
				s.order(ref, 31*day)
			}
			s.exec(`update public.orders set customer_id = 1, customer_name = 'Gerda Guestgaard', email = 'gerda@guest.example' where order_number = 'G1'`)
			s.exec(`update public.orders set customer_id = 2, customer_name = 'Asta Accountgaard', email = 'asta@account.example' where order_number = 'A1'`)
			s.notice()
			s.imported(31*day, "true")

			dry, err := s.DryRun(t.Context())
			require.NoError(t, err)
			require.Equal(t, int64(1), dry.Columns["public.orders"]["customer_name"])
			scan, err := s.Scan(t.Context(), ScanOptions{Orders: 9, Time: time.Minute})
			require.NoError(t, err)
			require.Empty(t, scan.Found, "what is meant to stay is no copy")

			report := s.run()
			require.Equal(t, 2, report.Orders, "both are erased, as far as the policy says")
			require.Empty(t, report.Residue.Found)
			require.Equal(t, "erased", value[string](s, `select email from public.orders where order_number = 'G1'`))
			require.Nil(t, value[*string](s, `select customer_name from public.orders where order_number = 'G1'`))
			require.Equal(t, "erased", value[string](s, `select name from public.customers where id = 1`))
			require.Equal(t, "Asta Accountgaard", value[string](s, `select customer_name from public.orders where order_number = 'A1'`))
			require.Equal(t, "asta@account.example", value[string](s, `select email from public.orders where order_number = 'A1'`))
			require.Equal(t, "Asta Accountgaard", value[string](s, `select name from public.customers where id = 2`))
			require.Zero(t, s.run().Orders)

			// With the condition on the account alone, nothing of the order stays, and all of the account does.
			s.Policy.Tables[0].When = ""
			again, err := s.Again(t.Context())
			require.NoError(t, err)
			require.Equal(t, 2, again.Orders)
			require.Equal(t, "erased", value[string](s, `select email from public.orders where order_number = 'A1'`))
			require.Equal(t, "Asta Accountgaard", value[string](s, `select name from public.customers where id = 2`))
		})
	}
}
