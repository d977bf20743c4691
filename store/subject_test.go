package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// subjectShop is a shop whose customer ids are of this type; a and b are two of them.
func subjectShop(t *testing.T, idType, a, b string) (pgx.Tx, store.Orders) {
	t.Helper()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		create table public.orders (ref text unique, placed timestamptz not null default now(), imported timestamptz, number text, erased timestamptz,
			email text, customer `+idType+`);
		create table public.lines (id bigint generated always as identity primary key, ref text, sku text);
		create table public.customers (id `+idType+` primary key, name text);
		create table public.newsletter (id bigint primary key, email text, topic text);
		create table public.clicks (newsletter_id bigint, url text)`)
	mustExec(t, tx, `
		insert into public.orders (ref, email, customer, placed, imported) values
		    ('E1', 'Jane.Doe@Example.com', '`+a+`', '2026-01-01Z', '2026-01-02Z'),
		    ('E2', 'jane.doe@example.com', null, '2026-02-01Z', null),
		    ('E3', 'other@example.com', '`+a+`', '2026-03-01Z', null),
		    ('E4', 'third@example.com', '`+b+`', '2026-04-01Z', null),
		    (null, 'jane.doe@example.com', null, '2026-05-01Z', null);
		insert into public.lines (ref, sku) select ref, 'sku of ' || ref from public.orders where ref is not null;
		insert into public.customers (id, name) values ('`+a+`', 'A'), ('`+b+`', 'B');
		insert into public.newsletter (id, email, topic) values (1, 'JANE.DOE@example.com', 'mine'), (2, 'third@example.com', 'hers');
		insert into public.clicks (newsletter_id, url) values (1, 'mine'), (2, 'hers')`)
	return tx, store.Orders{
		Table: "public.orders", Ref: "ref", PlacedAt: "placed", ImportedAt: "imported", ERPNumber: "number", ErasedAt: "erased",
		Email: "email", CustomerID: "customer", AwaitingImport: "true", EraseAfter: 24 * time.Hour,
	}
}

func subjectRefs(t *testing.T, db store.DB, o store.Orders, s store.Subject) []string {
	t.Helper()
	orders, err := store.SubjectOrders(t.Context(), db, o, s, time.Now())
	require.NoError(t, err)
	refs := []string{}
	for _, order := range orders {
		if order.Ref == nil {
			refs = append(refs, "null")
			continue
		}
		refs = append(refs, *order.Ref)
	}
	return refs
}

func TestOrdersOfAPerson(t *testing.T) {
	t.Parallel()
	const upper, a, b = "1B4E28BA-2FA1-11D2-883F-0016D3CCA427", "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "2b4e28ba-2fa1-11d2-883f-0016d3cca427"
	for idType, ids := range map[string][3]string{
		"integer": {"4711", "4711", "4712"}, "bigint": {"4711", "4711", "4712"}, "uuid": {a, upper, b},
		"text": {"C'1", "C'1", "c'1"}, "varchar(20)": {"C1", "C1", "c1"}, "char(5)": {"C1", "C1", "c1"}, "numeric": {"7", "7", "8"},
	} {
		t.Run(idType, func(t *testing.T) {
			t.Parallel()
			stored := ids[0]
			tx, o := subjectShop(t, idType, doubled(stored), doubled(ids[2]))
			for name, c := range map[string]struct {
				who  store.Subject
				want []string
			}{
				"Email":       {store.Subject{Email: "jane.DOE@example.COM"}, []string{"E1", "E2", "null"}},
				"CustomerID":  {store.Subject{CustomerID: ids[1]}, []string{"E1", "E3"}},
				"Both":        {store.Subject{Email: "jane.doe@example.com", CustomerID: ids[1]}, []string{"E1", "E2", "E3", "null"}},
				"Unknown":     {store.Subject{Email: "nobody@example.com", CustomerID: "99"}, []string{}},
				"NotOfTheirs": {store.Subject{CustomerID: "'; drop table x; --"}, []string{}},
				"Pattern":     {store.Subject{Email: "%@example.com"}, []string{}},
			} {
				require.ElementsMatch(t, c.want, subjectRefs(t, tx, o, c.who), name)
			}
		})
	}
}

// doubled doubles quotes, for use in a literal.
func doubled(s string) string {
	out := ""
	for _, r := range s {
		if r == '\'' {
			out += "'"
		}
		out += string(r)
	}
	return out
}

func TestOrdersOfAPersonTellWhatDecides(t *testing.T) {
	t.Parallel()
	tx, o := subjectShop(t, "integer", "1", "2")
	o.EraseUnimportedAfter = 48 * time.Hour
	mustExec(t, tx, `
		insert into kvit.legal_hold (order_ref, reason, placed_by, expires_at) values
		    ('E1', 'case', 'legal', '2030-01-01Z'), ('E2', 'over', 'legal', now() - interval '1 day')`)
	orders, err := store.SubjectOrders(t.Context(), tx, o, store.Subject{Email: "jane.doe@example.com"}, time.Now())
	require.NoError(t, err)
	require.Len(t, orders, 3)
	first, second := orders[0], orders[1]
	require.True(t, first.Held)
	require.Equal(t, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), first.HeldUntil.UTC())
	require.Equal(t, time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC), first.DueAt.UTC())
	require.True(t, first.Customer)
	require.False(t, second.Held, "a hold that is over")
	require.Nil(t, second.ImportedAt)
	require.Equal(t, time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC), second.DueAt.UTC(), "it goes by the clock for orders that the ERP never got")
	require.False(t, second.Customer)
}

func TestSearchable(t *testing.T) {
	t.Parallel()
	both, none := store.Orders{Email: "email", CustomerID: "customer"}, store.Orders{}
	require.NoError(t, store.Subject{Email: "a@example.com", CustomerID: "1"}.Searchable(both))
	err := store.Subject{Email: "a@example.com"}.Searchable(none)
	require.ErrorIs(t, err, store.ErrNotSearchable)
	require.ErrorContains(t, err, "shop.orders.email")
	require.NotContains(t, err.Error(), "a@example.com")
	require.ErrorContains(t, store.Subject{CustomerID: "1"}.Searchable(none), "shop.orders.customer_id")
}

func collect(t *testing.T, each func(do func([]byte) error) error) []map[string]any {
	t.Helper()
	list := []map[string]any{}
	require.NoError(t, each(func(object []byte) error {
		var m map[string]any
		list = append(list, m)
		return json.Unmarshal(object, &list[len(list)-1])
	}))
	return list
}

func values(list []map[string]any, key string) []any {
	found := []any{}
	for _, m := range list {
		found = append(found, m[key])
	}
	return found
}

func TestRowsOfAPerson(t *testing.T) {
	t.Parallel()
	tx, o := subjectShop(t, "integer", "1", "2")
	lines := store.Reached{Table: "public.lines", Paths: [][]store.Link{[]store.Link{{Column: "ref", Table: "public.orders", Key: "ref"}}}}
	customers := store.Reached{Table: "public.customers", Paths: [][]store.Link{[]store.Link{{Column: "id", Table: "public.orders", Key: "customer"}}}}
	newsletter := store.Reached{Table: "public.newsletter", Paths: [][]store.Link{[]store.Link{{Column: "email", Table: "public.orders", Key: "email"}}}}
	clicks := store.Reached{Table: "public.clicks", Paths: [][]store.Link{{{Column: "newsletter_id", Table: "public.newsletter", Key: "id"}, newsletter.Paths[0][0]}}}
	jane, nobody := store.Subject{Email: "jane.doe@example.com"}, store.Subject{Email: "nobody@example.com", CustomerID: "9"}
	for name, c := range map[string]struct {
		table store.Reached
		who   store.Subject
		key   string
		want  []any
	}{
		"OfOrders":             {lines, jane, "sku", []any{"sku of E1", "sku of E2"}},
		"OfOrdersById":         {lines, store.Subject{CustomerID: "1"}, "sku", []any{"sku of E1", "sku of E3"}},
		"OnceByBoth":           {lines, store.Subject{Email: "jane.doe@example.com", CustomerID: "1"}, "sku", []any{"sku of E1", "sku of E2", "sku of E3"}},
		"CustomerOfTheOrders":  {customers, jane, "name", []any{"A"}},
		"CustomerById":         {customers, store.Subject{CustomerID: "2"}, "name", []any{"B"}},
		"WithoutAnOrder":       {newsletter, jane, "topic", []any{"mine"}},
		"BelowOne":             {clicks, jane, "url", []any{"mine"}},
		"ValueOfAnotherColumn": {lines, store.Subject{Email: "E1", CustomerID: "E1"}, "sku", []any{}},
		"NobodysLines":         {lines, nobody, "sku", []any{}},
		"NobodysNewsletter":    {newsletter, nobody, "topic", []any{}},
	} {
		rows := collect(t, func(do func([]byte) error) error {
			return store.EachSubjectRow(t.Context(), tx, o, c.who, c.table, do)
		})
		require.ElementsMatch(t, c.want, values(rows, c.key), name)
	}
	// A customer without any order left.
	mustExec(t, tx, `delete from public.orders where customer = 2`)
	rows := collect(t, func(do func([]byte) error) error {
		return store.EachSubjectRow(t.Context(), tx, o, store.Subject{CustomerID: "2"}, customers, do)
	})
	require.Equal(t, []any{"B"}, values(rows, "name"))
}

func TestExportOfOrders(t *testing.T) {
	t.Parallel()
	tx, o := subjectShop(t, "integer", "1", "2")
	mustExec(t, tx, `
		insert into kvit.legal_hold (order_ref, reason, placed_by) values ('E1', 'case', 'legal');
		insert into kvit.erp_receipt (order_ref, erp_order_number) values ('E1', 'SO-1')`)
	orders := collect(t, func(do func([]byte) error) error {
		return store.EachSubjectOrder(t.Context(), tx, o, store.Subject{Email: "jane.doe@example.com"}, do)
	})
	require.Equal(t, []any{"E1", "E2", nil}, values(orders, "order_ref"))
	require.Equal(t, "Jane.Doe@Example.com", orders[0]["row"].(map[string]any)["email"])
	require.Equal(t, "case", orders[0]["hold"].(map[string]any)["reason"])
	require.Equal(t, "2026-01-03T00:00:00+00:00", orders[0]["erase_due_at"])
	require.Equal(t, "SO-1", orders[0]["erp_receipts"].([]any)[0].(map[string]any)["erp_order_number"])
	require.Nil(t, orders[1]["hold"])
}

// sendable makes a destination that gets every event.
func sendable(t *testing.T, db store.DB, names ...string) {
	t.Helper()
	mustExec(t, db, `
		insert into kvit.destination (name, kind, enabled, event_names)
		select name, 'webhook', true, '{order_paid,page_viewed}' from unnest($1::text[]) name`, names)
}

func TestEventsOfAPerson(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	sendable(t, tx, "crm", "mail")
	mustExec(t, tx, `
		insert into kvit.tracking_event (event_key, name, order_ref, payload) values
		    ('of-order', 'order_paid', 'E1', '{"customer": {"email": "spelled@differently.example.com"}}'),
		    ('by-email', 'page_viewed', null, '{"customer": {"email": "JANE.doe@example.com"}}'),
		    ('by-id', 'page_viewed', null, '{"customer": {"id": "4711"}}'),
		    ('by-number', 'page_viewed', null, '{"customer": {"id": 4711}}'),
		    ('neither', 'page_viewed', null, '{"customer": {"email": "other@example.com", "id": "47"}}'),
		    ('scalar', 'page_viewed', null, '"jane.doe@example.com"');
		insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'delivered', 1 from kvit.event where event_key = 'of-order';
		delete from kvit.river_job j using kvit.event e where kvit.job_event_id(j.args) = e.id and e.event_key = 'of-order' and j.args ->> 'destination' = 'crm'`)
	keys := func(s store.Subject, refs ...string) []any {
		return values(collect(t, func(do func([]byte) error) error {
			return store.EachSubjectEvent(t.Context(), tx, s, refs, do)
		}), "event_key")
	}
	require.Equal(t, []any{"of-order", "by-email"}, keys(store.Subject{Email: "jane.doe@example.com"}, "E1"))
	require.Equal(t, []any{"of-order"}, keys(store.Subject{Email: "nobody@example.com"}, "E1 "), "the shop's own reference has a blank too many")
	require.Equal(t, []any{"by-id", "by-number"}, keys(store.Subject{CustomerID: "4711"}))
	require.Empty(t, keys(store.Subject{Email: "nobody@example.com"}))

	events := collect(t, func(do func([]byte) error) error {
		return store.EachSubjectEvent(t.Context(), tx, store.Subject{Email: "x@example.com"}, []string{"E1"}, do)
	})
	require.Equal(t, "delivered", events[0]["deliveries"].([]any)[0].(map[string]any)["outcome"])
	require.Equal(t, []any{"mail"}, events[0]["pending"])
	require.Equal(t, "spelled@differently.example.com", events[0]["payload"].(map[string]any)["customer"].(map[string]any)["email"])
}

// What a destination reads as a person's address, a request of the person's finds, too.
func TestEventsOfAPersonInOddForms(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	for i, payload := range []string{
		`{"customer": {"email": " Jane@example.com\n"}}`,
		`{"customer": {"email": "mailto:jane@example.com"}}`,
		`{"customer": {"email": "Jane Doe <jane@example.com>"}}`,
		`{"customer": {"email": ["jane@example.com"]}}`,
		`{"customer": [{"email": "jane@example.com"}]}`,
		`{"customer": "{\"email\": \"jane@example.com\"}"}`,
		`"{\"customer\": {\"email\": \"jane@example.com\"}}"`,
		`{"customer": {"email": "jane@example.com", "first_name": "J\u0000"}}`,
	} {
		mustExec(t, tx, `insert into kvit.tracking_event (event_key, name, payload) values ($1, 'newsletter_optin', $2)`, fmt.Sprintf("jane:%d", i), payload)
	}
	mustExec(t, tx, `insert into kvit.tracking_event (event_key, name, payload) values
		('other:1', 'newsletter_optin', '{"customer": {"email": "other.jane@example.com", "company": "jane@example.com"}}'),
		('other:2', 'newsletter_optin', '{"customer": {"email": ["jane@example.com", "other@example.com"]}}'),
		('other:3', 'newsletter_optin', '{"customer": "jane@example.com"}')`)
	found := collect(t, func(do func([]byte) error) error {
		return store.EachSubjectEvent(t.Context(), tx, store.Subject{Email: "JANE@example.com"}, nil, do)
	})
	require.Equal(t, []any{"jane:0", "jane:1", "jane:2", "jane:3", "jane:4", "jane:5", "jane:6", "jane:7"}, values(found, "event_key"))
	require.Len(t, texts(t, tx, `select distinct stream from kvit.event where event_key like 'jane:%'`), 1, "they are states of one thing")
}
