package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestLeaks(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	_, err := tx.Exec(t.Context(), `
		create table public.orders (id bigint primary key, email text, updated timestamptz);
		create table public.audit (old jsonb);
		create function public.copy() returns trigger language plpgsql as $$ begin insert into public.audit values (to_jsonb(old)); return null; end $$;
		create function public.touch() returns trigger language plpgsql as $$ begin if TG_OP = 'UPDATE' then new.updated := now(); end if; return new; end $$;
		create trigger audit after update on public.orders for each row execute function public.copy();
		create trigger touch before update on public.orders for each row execute function public.touch();
		create trigger born after insert on public.orders for each row execute function public.copy();
		create rule keep_copy as on delete to public.orders do also insert into public.audit values (to_jsonb(old));
		create view public.recent as select * from public.orders;
		create materialized view public.totals as select email, count(*) from public.recent group by email;
		create publication warehouse for table public.orders;
		create table public.archive (reason text) inherits (public.orders);
		create table public.parts (id bigint) partition by range (id);
		create table public.part_1 partition of public.parts for values from (0) to (9);
		create foreign data wrapper nowhere;
		create server elsewhere foreign data wrapper nowhere;
		create foreign table public.part_2 partition of public.parts for values from (10) to (19) server elsewhere`)
	require.NoError(t, err)
	leaks, err := store.Leaks(t.Context(), tx, []string{"public.orders", "public.part_1", "public.parts"})
	require.NoError(t, err)
	require.Equal(t, []store.Leak{
		{Table: "public.orders", Kind: store.LeakChild, Name: "public.archive", Detail: "reason"},
		{Table: "public.orders", Kind: store.LeakMaterialized, Name: "public.totals"},
		{Table: "public.orders", Kind: store.LeakPublication, Name: "warehouse"},
		{Table: "public.orders", Kind: store.LeakRule, Name: "keep_copy"},
		{Table: "public.orders", Kind: store.LeakTrigger, Name: "audit", Detail: "public.copy"},
		{Table: "public.part_1", Kind: store.LeakParent, Name: "public.parts"},
		{Table: "public.parts", Kind: store.LeakForeign, Name: "public.part_2"},
	}, leaks)
	leaks, err = store.Leaks(t.Context(), tx, []string{"public.audit"})
	require.NoError(t, err)
	require.Empty(t, leaks)
}
