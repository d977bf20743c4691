package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func texts(t *testing.T, db store.DB, sql string) []string {
	t.Helper()
	rows, err := db.Query(t.Context(), sql)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func TestEraseRowsOfAPerson(t *testing.T) {
	t.Parallel()
	jane := store.Subject{Email: "jane.doe@example.com"}
	toOrders := store.Link{Column: "email", Table: "public.orders", Key: "email"}
	update := store.TableErasure{
		Table: "public.newsletter", Path: []store.Link{toOrders},
		Writes: []store.Write{{Column: "topic", Strategy: "text", Text: "erased"}},
	}
	remove := store.TableErasure{Table: "public.newsletter", Path: []store.Link{toOrders}, DeleteRows: true}
	below := store.TableErasure{
		Table: "public.clicks", DeleteRows: true,
		Path: []store.Link{{Column: "newsletter_id", Table: "public.newsletter", Key: "id"}, toOrders},
	}
	const topics = `select topic from public.newsletter order by id`
	erase := func(t *testing.T, tx pgx.Tx, o store.Orders, e store.TableErasure, s store.Subject) store.SubjectRows {
		t.Helper()
		found, err := store.EraseSubjectRows(t.Context(), tx, o, e, s)
		require.NoError(t, err)
		return found
	}

	t.Run("WithoutAnOrder", func(t *testing.T) {
		t.Parallel()
		tx, o := subjectShop(t, "integer", "1", "2") // no order has the address in these capitals
		require.Equal(t, store.SubjectRows{Erased: 1}, erase(t, tx, o, update, jane))
		require.Equal(t, []string{"erased", "hers"}, texts(t, tx, topics))
		require.Equal(t, store.SubjectRows{}, erase(t, tx, o, update, jane), "nothing is left to do")
	})
	t.Run("Deleted", func(t *testing.T) {
		t.Parallel()
		tx, o := subjectShop(t, "integer", "1", "2")
		require.Equal(t, store.SubjectRows{Erased: 1}, erase(t, tx, o, below, jane))
		require.Equal(t, []string{"hers"}, texts(t, tx, `select url from public.clicks`))
		require.Equal(t, store.SubjectRows{Erased: 1}, erase(t, tx, o, remove, jane))
		require.Equal(t, []string{"hers"}, texts(t, tx, topics))
	})
	t.Run("WithALivingOrder", func(t *testing.T) {
		t.Parallel()
		tx, o := subjectShop(t, "integer", "1", "2")
		mustExec(t, tx, `update public.newsletter set email = 'jane.doe@example.com' where id = 1`)
		require.Equal(t, store.SubjectRows{Shared: 1}, erase(t, tx, o, update, jane))
		require.Equal(t, store.SubjectRows{Shared: 1}, erase(t, tx, o, below, jane))
		require.Equal(t, []string{"mine", "hers"}, texts(t, tx, topics))
		mustExec(t, tx, `update public.orders set erased = now()`)
		require.Equal(t, store.SubjectRows{Erased: 1}, erase(t, tx, o, update, jane), "its orders are erased")
	})
	t.Run("ByCustomerID", func(t *testing.T) {
		t.Parallel()
		tx, o := subjectShop(t, "bigint", "1", "2")
		customers := store.TableErasure{
			Table: "public.customers", Path: []store.Link{{Column: "id", Table: "public.orders", Key: "customer"}},
			Writes: []store.Write{{Column: "name", Strategy: "null"}},
		}
		require.Equal(t, store.SubjectRows{}, erase(t, tx, o, customers, jane), "an address does not lead there")
		require.Equal(t, store.SubjectRows{Shared: 1}, erase(t, tx, o, customers, store.Subject{CustomerID: "2"}))
		mustExec(t, tx, `delete from public.orders where customer = 2`)
		require.Equal(t, store.SubjectRows{Erased: 1}, erase(t, tx, o, customers, store.Subject{CustomerID: "2"}))
		require.Equal(t, []string{"A"}, texts(t, tx, `select name from public.customers where name is not null`))
	})
	t.Run("KeptByATrigger", func(t *testing.T) {
		t.Parallel()
		tx, o := subjectShop(t, "integer", "1", "2")
		mustExec(t, tx, `
			create function pg_temp.keep() returns trigger language plpgsql as $$ begin new.topic := old.topic; return new; end $$;
			create trigger keep before update on public.newsletter for each row execute function pg_temp.keep()`)
		require.Equal(t, store.SubjectRows{Erased: 1, Left: 1}, erase(t, tx, o, update, jane))
	})
	t.Run("HashedOnce", func(t *testing.T) {
		t.Parallel()
		tx, o := subjectShop(t, "integer", "1", "2")
		hash := update
		hash.Key = store.NewHashKey("an example key of thirty-two characters")
		hash.Writes = []store.Write{{Column: "topic", Strategy: "hash"}, {Column: "note", Strategy: "null"}}
		mustExec(t, tx, `alter table public.newsletter add column note text`)
		require.Equal(t, store.SubjectRows{Erased: 1}, erase(t, tx, o, hash, jane))
		once := texts(t, tx, topics)
		require.Len(t, once[0], 64)
		mustExec(t, tx, `update public.newsletter set note = 'new' where id = 1`)
		require.Equal(t, store.SubjectRows{Erased: 1}, erase(t, tx, o, hash, jane))
		require.Equal(t, once, texts(t, tx, topics))
	})
	t.Run("OrdersTable", func(t *testing.T) {
		t.Parallel()
		tx, o := subjectShop(t, "integer", "1", "2")
		require.Equal(t, store.SubjectRows{}, erase(t, tx, o, store.TableErasure{Table: "public.orders"}, jane))
	})
}

func TestEraseEventsOfAPerson(t *testing.T) {
	t.Parallel()
	tx, o := subjectShop(t, "integer", "1", "2")
	sendable(t, tx, "crm")
	mustExec(t, tx, `
		insert into kvit.legal_hold (order_ref, reason, placed_by) values ('E8', 'case', 'legal');
		update public.orders set erased = now() where ref = 'E1';
		insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
		select key, 'page_viewed', ref, '{"customer": {"email": "Jane.Doe@example.com"}}', '{"marketing": true}'
		from (values ('none', null), ('erased', 'E1'), ('living', 'E2'), ('living2', 'E2'), ('held', 'E8'), ('unknown', 'E9')) as e (key, ref);
		insert into kvit.tracking_event (event_key, name, payload) values ('other', 'page_viewed', '{"customer": {"email": "other@example.com"}}')`)
	found, err := store.EraseSubjectEvents(t.Context(), tx, &o, store.Subject{Email: "jane.doe@example.com"}, time.Now())
	require.NoError(t, err)
	require.Equal(t, store.SubjectEvents{Erased: 3, Kept: map[string]int64{"E2": 2, "E8": 1}}, found)
	require.Equal(t, []string{"erased", "none", "unknown"}, texts(t, tx, `
		select event_key from kvit.event where payload is null and consent = '{}' and erased_at is not null order by 1`))
	require.Equal(t, []string{"erased", "erased", "erased"}, texts(t, tx, `select outcome from kvit.delivery`), "they are not sent any more")

	again, err := store.EraseSubjectEvents(t.Context(), tx, nil, store.Subject{Email: "jane.doe@example.com"}, time.Now())
	require.NoError(t, err)
	require.Equal(t, store.SubjectEvents{Erased: 2, Kept: map[string]int64{"E8": 1}}, again, "without a shop no order takes them along")
}

func TestEventsUnderWay(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	sendable(t, tx, "crm")
	mustExec(t, tx, `insert into kvit.tracking_event (event_key, name, order_ref) values ('a', 'order_paid', 'E1')`)
	ids, err := store.SubjectEventIDs(t.Context(), tx, store.Subject{Email: "jane@example.com"}, []string{"E1"})
	require.NoError(t, err)
	require.Len(t, ids, 1)
	underWay, err := store.EventsUnderWay(t.Context(), tx, ids)
	require.NoError(t, err)
	require.False(t, underWay)
	mustExec(t, tx, `update kvit.river_job set state = 'running'`)
	underWay, err = store.EventsUnderWay(t.Context(), tx, ids)
	require.NoError(t, err)
	require.True(t, underWay)
}
