package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/shop"
	"kvit/shop/medusa"
	"kvit/shop/vendure"
	"kvit/store"
	"kvit/store/storetest"
)

// The triggers that kvit init writes only insert events, which kvit erases itself: nobody has to look at them.
func TestOwnTriggersAreNoLeak(t *testing.T) {
	t.Parallel()
	function := regexp.MustCompile(`(?s)create or replace function (kvit_events\.\w+)\([^$]*\$\$.*?\$\$;`)
	for _, shop := range []shop.Shop{vendure.Shop, medusa.Shop} {
		t.Run(shop.Name, func(t *testing.T) {
			t.Parallel()
			tx := storetest.Tx(t)
			exec := func(sql string) {
				_, err := tx.Exec(t.Context(), sql)
				require.NoError(t, err)
			}
			exec(`set check_function_bodies = off; create schema kvit_events; create table public.things (id bigint)`)
			made := 0
			for _, f := range function.FindAllStringSubmatch(shop.Events, -1) {
				exec(f[0])
				if strings.Contains(f[0], "returns trigger") {
					exec(fmt.Sprintf(`create trigger t%d after update on public.things for each row execute function %s()`, made, f[1]))
					made++
				}
			}
			require.GreaterOrEqual(t, made, 3)
			leaks, err := store.Leaks(t.Context(), tx, []string{"public.things"})
			require.NoError(t, err)
			require.Empty(t, leaks)

			exec(`create or replace function kvit_events.money_copy() returns void language sql as 'insert into public.things values (1)'`)
			exec(`create or replace function kvit_events.insert_event(name text, order_id text, suffix text, more jsonb) returns void language plpgsql as $$
				begin perform kvit_events.money_copy(); end $$`)
			leaks, err = store.Leaks(t.Context(), tx, []string{"public.things"})
			require.NoError(t, err)
			require.NotEmpty(t, leaks, "the name of the schema is no excuse")
		})
	}
}
