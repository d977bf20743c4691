package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// A trigger is believed to insert nothing but events if its code says so for certain.
func TestTrackers(t *testing.T) {
	t.Parallel()
	const pinned = ` set search_path = pg_catalog, pg_temp `
	const good = `begin
		-- insert into public.audit is a comment, 'update' a text
		insert into kvit.tracking_event (event_key, name, payload) values ('x:' || new.id, 'update', jsonb_build_object('a', shop_events.part(new.email)));
		return null; end`
	for name, c := range map[string]struct {
		path, body, more string
		leak             bool
	}{
		"Tracks":              {path: pinned, body: good},
		"NoPath":              {body: good, leak: true},
		"AnotherPath":         {path: ` set search_path = public `, body: good, leak: true},
		"AnotherTable":        {path: pinned, body: `begin insert into kvit.tracking_event (name) values ('x'); insert into public.audit values (new.email); return null; end`, leak: true},
		"AnAlmostEqualTable":  {path: pinned, body: `begin insert into kvit.tracking_event_copy (name) values ('x'); return null; end`, leak: true},
		"Dynamic":             {path: pinned, body: `begin execute 'insert into public.audit values ($1)' using new.email; return null; end`, leak: true},
		"Notifies":            {path: pinned, body: `begin perform pg_notify('x', new.email); return null; end`, leak: true},
		"AnothersFunction":    {path: pinned, body: `begin perform public.write(new.email); return null; end`, leak: true},
		"ItsOwnThatWrites":    {path: pinned, body: good, more: `create or replace function shop_events.part(text) returns text language sql as 'insert into public.audit values ($1) returning 1::text'`, leak: true},
		"ItsOwnTwiceRemoved":  {path: pinned, body: good, more: `create function shop_events.deep(text) returns void language plpgsql as 'begin delete from public.audit; end'; create or replace function shop_events.part(text) returns text language sql as 'select shop_events.deep($1)::text'`, leak: true},
		"QuotedFunction":      {path: pinned, body: `begin perform "public" . "write" (new.email); return null; end`, leak: true},
		"TextsOfAnotherForm":  {path: pinned, body: `begin perform e'\'' ; insert into public.audit values (''''); return null; end`, leak: true},
		"OthersMayCreateHere": {path: pinned, body: good, more: `grant create on schema shop_events to public`, leak: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := storetest.Tx(t)
			for _, sql := range []string{
				`create schema shop_events; create table public.orders (id bigint primary key, email text); create table public.audit (line text)`,
				`create function public.write(text) returns void language sql as 'insert into public.audit values ($1)'`,
				`create function shop_events.part(text) returns text language sql as 'select lower($1)'`,
				`create function shop_events.changed() returns trigger language plpgsql ` + c.path + ` as $body$` + c.body + `$body$`,
				`create trigger changed after update on public.orders for each row execute function shop_events.changed()`,
				c.more,
			} {
				_, err := tx.Exec(t.Context(), sql)
				require.NoError(t, err)
			}
			leaks, err := store.Leaks(t.Context(), tx, []string{"public.orders"})
			require.NoError(t, err)
			if c.leak {
				require.Len(t, leaks, 1)
			} else {
				require.Empty(t, leaks)
			}
		})
	}
}
