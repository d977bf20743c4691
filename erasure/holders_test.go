package erasure

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
)

// An address that an open cart refers to is not taken from under it, whatever its key does on delete, although carts
// go by a clock of their own.
func TestAnAddressOfAnOpenCartStays(t *testing.T) {
	t.Parallel()
	for _, onDelete := range []string{"", "on delete restrict", "on delete cascade", "on delete set null", "on delete set default"} {
		t.Run(onDelete, func(t *testing.T) {
			t.Parallel()
			s := twoAddresses(t, "on delete set null", true)
			s.exec(`create table public.carts (id bigint primary key, address_id bigint references public.addresses ` + onDelete + `, touched timestamptz not null)`)
			s.Tables = []policy.TableRule{{Name: "carts", Table: "public.carts", Since: "touched", EraseAfter: 7 * day}}
			s.order("E1", 31*day)
			s.exec(`insert into public.addresses values (1, 'Shared Road')`)
			s.exec(`update public.orders set billing_id = 1`)
			s.exec(`insert into public.carts values (1, 1, now())`)
			require.Equal(t, 1, s.run().Orders)
			require.Len(t, s.addresses(), 1)
			require.Equal(t, 1, value[int](s, `select count(*) from public.carts where address_id = 1`))
			require.Equal(t, int64(1), s.certificate("E1").Verification["shared"])

			s.exec(`update public.carts set touched = now() - interval '8 days'`)
			s.run()
			require.Empty(t, s.addresses(), "it goes the same night as the cart")
		})
	}
}

// A wish list of somebody who has no order keeps what it refers to.
func TestARowOfNoOrderKeepsItsKey(t *testing.T) {
	t.Parallel()
	s := twoAddresses(t, "on delete set null", true)
	s.exec(`create table public.wishes (id bigint primary key, customer_id bigint, address_id bigint references public.addresses on delete set null)`)
	s.Policy.Tables = append(s.Policy.Tables, policy.Table{Name: "public.wishes", Match: &policy.Match{Column: "customer_id", OrderColumn: "customer_id"}, DeleteRows: true, IgnoreKeys: []string{"address_id"}})
	require.Empty(t, mustCheck(s))
	s.order("E1", 31*day)
	s.exec(`insert into public.addresses values (1, 'Shared Road')`)
	s.exec(`update public.orders set billing_id = 1`)
	s.exec(`insert into public.wishes values (1, 4711, 1)`)
	require.Equal(t, 1, s.run().Orders)
	require.Equal(t, 1, value[int](s, `select count(*) from public.wishes where address_id = 1`))
	require.Len(t, s.addresses(), 1)
}

// A live order reaches an address over its customer, by keys alone.
func TestAnAddressIsReachedOverKeysAlone(t *testing.T) {
	t.Parallel()
	s := twoAddresses(t, "on delete set null", true)
	s.exec(`create table public.members (id bigint primary key, home_id bigint references public.addresses on delete set null);
		alter table public.orders add column member_id bigint references public.members`)
	orders := &s.Policy.Tables[0]
	orders.Columns = append(orders.Columns, policy.Column{Name: "member_id", Strategy: policy.Keep})
	s.Policy.Tables = append(s.Policy.Tables, policy.Table{Name: "public.members", KeepRows: true})
	require.Empty(t, mustCheck(s))
	s.order("E1", 31*day)
	s.order("E2", day)
	s.exec(`insert into public.addresses values (1, 'Shared Road')`)
	s.exec(`insert into public.members values (1, 1)`)
	s.exec(`update public.orders set billing_id = 1 where order_number = 'E1'`)
	s.exec(`update public.orders set member_id = 1 where order_number = 'E2'`)
	require.Equal(t, 1, s.run().Orders)
	require.Len(t, s.addresses(), 1)
	require.Equal(t, 1, value[int](s, `select count(*) from public.members where home_id = 1`))
}

// What a way left is not erased as another says whose condition alone differs.
func TestSweptRowsMeetTheFateOfTheirCondition(t *testing.T) {
	t.Parallel()
	s := twoAddresses(t, "on delete set null", true)
	s.exec(`alter table public.addresses add column kind text not null default 'draft'`)
	ways := s.Policy.Tables[len(s.Policy.Tables)-2:]
	for i := range ways {
		ways[i].When = "kind = 'draft'"
		proof := ways[i]
		proof.When, proof.DeleteRows = "kind = 'proof'", false
		proof.Columns = []policy.Column{{Name: "id", Strategy: policy.Keep}, {Name: "kind", Strategy: policy.Keep}, {Name: "street", Strategy: policy.Null}}
		s.Policy.Tables = append(s.Policy.Tables, proof)
	}
	require.Empty(t, mustCheck(s))
	s.order("E1", 31*day)
	s.unimported("E2")
	s.exec(`insert into public.addresses values (1, 'Proof Road', 'proof')`)
	s.exec(`update public.orders set billing_id = case order_number when 'E1' then 1 end, shipping_id = case order_number when 'E2' then 1 end`)
	s.run()
	s.exec(`update public.orders set shipping_id = null`)
	s.run()
	require.Equal(t, map[int64]string{1: ""}, collect[int64, string](s, `select id, coalesce(street, '') from public.addresses`))
}

// A row that was left and cannot be erased stays remembered, is told of, and keeps nothing else from being done.
func TestASweepThatIsRefusedIsToldOf(t *testing.T) {
	t.Parallel()
	for name, trigger := range map[string]string{
		"ByAnError":  `create function public.guard() returns trigger language plpgsql as $$begin if old.id = 1 then raise exception 'no'; end if; return new; end$$`,
		"BySilence":  `create function public.guard() returns trigger language plpgsql as $$begin if old.id = 1 then return null; end if; return new; end$$`,
		"ByRestores": `create function public.guard() returns trigger language plpgsql as $$begin if old.id = 1 then return old; end if; return new; end$$`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := twoAddresses(t, "on delete set null", true)
			for i := range s.Policy.Tables[len(s.Policy.Tables)-2:] {
				w := &s.Policy.Tables[len(s.Policy.Tables)-2+i]
				w.DeleteRows, w.Columns = false, []policy.Column{{Name: "id", Strategy: policy.Keep}, {Name: "street", Strategy: policy.Null}}
			}
			s.order("E1", 31*day)
			s.order("E2", 31*day)
			s.unimported("E3")
			s.unimported("E4")
			s.exec(`insert into public.addresses values (1, 'Stubborn Road'), (2, 'Willing Road')`)
			s.exec(`update public.orders set billing_id = case order_number when 'E1' then 1 when 'E2' then 2 end, shipping_id = case order_number when 'E3' then 1 when 'E4' then 2 end`)
			s.run()
			s.exec(trigger)
			s.exec(`create trigger guard before update on public.addresses for each row execute function public.guard();
				update public.orders set shipping_id = null`)
			report, err := s.Run(t.Context())
			if name != "BySilence" {
				require.ErrorIs(t, err, ErrNotErased)
				require.Len(t, report.Problems, 1)
				require.Equal(t, "E1", report.Problems[0].OrderRef)
				require.Contains(t, report.Problems[0].Problem, "public.addresses")
			}
			require.Equal(t, map[int64]string{1: "Stubborn Road", 2: ""}, collect[int64, string](s, `select id, coalesce(street, '') from public.addresses`))
			require.Equal(t, "E1", value[string](s, `select string_agg(order_ref, ' ') from kvit.erasure_left`))
			require.Equal(t, 1, value[int](s, `select count(*) from kvit.erasure_certificate where clock = 'shared'`), "of E2 alone")
		})
	}
}

// Where rows that were left cannot even be looked for, the run fails and says so.
func TestASweepThatRunsOutOfTime(t *testing.T) {
	t.Parallel()
	s := twoAddresses(t, "on delete set null", true)
	s.order("E1", 31*day)
	s.unimported("E2")
	s.exec(`insert into public.addresses values (1, 'Shared Road')`)
	s.exec(`update public.orders set billing_id = case order_number when 'E1' then 1 end, shipping_id = case order_number when 'E2' then 1 end`)
	s.run()
	require.Equal(t, 1, value[int](s, `select count(*) from kvit.erasure_left`))
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `lock table kvit.erasure_left in exclusive mode`)
	require.NoError(t, err)

	config := s.db.Config()
	config.ConnConfig.RuntimeParams["statement_timeout"] = "300ms" // less than the sweep waits for locks
	hurried, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer hurried.Close()
	s.DB = hurried
	_, err = s.Run(t.Context())
	require.ErrorContains(t, err, "erase rows that were left")
}

// Two orders of the same night have an address in different ways, and a living one keeps it: the certificates of both say
// so. An earlier way had hidden it from the second order's.
func TestEachCertificateTellsOfARowThatStays(t *testing.T) {
	t.Parallel()
	s := twoAddresses(t, "on delete set null", true)
	s.exec(`insert into public.addresses values (1, 'Shared Road')`)
	for _, ref := range []string{"E1", "E2"} {
		s.order(ref, 31*day)
	}
	s.order("E3", day)
	s.exec(`update public.orders set billing_id = 1 where order_number in ('E1', 'E3'); update public.orders set shipping_id = 1 where order_number = 'E2'`)
	require.Equal(t, 2, s.run().Orders)
	require.Len(t, s.addresses(), 1)
	for _, ref := range []string{"E1", "E2"} {
		require.Equal(t, int64(1), s.certificate(ref).Verification["shared"], ref)
	}
}
