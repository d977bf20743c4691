package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
)

func isSerializationFailure(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "40001"
}

// What Postgres finds while the event is inserted is about the shop's whole transaction, which has to be repeated: it is
// no repeat of the key.
func TestSerializationFailureInTheInsertReachesTheShop(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), storetest.DB(t)
	addDestinations(t, pool, store.Destination{Name: "all", Kind: "webhook", Enabled: true, EventNames: []string{"order_paid"}})
	mustExec(t, pool, `create table public.stock (left_over int); insert into public.stock values (2)`)
	serializable := func() pgx.Tx {
		tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
		require.NoError(t, err)
		t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
		return tx
	}
	// The report reads events, the checkout reads the stock that another one has changed: no order of the three is right.
	report, checkout, other := serializable(), serializable(), serializable()
	mustExec(t, report, `select count(*) from kvit.event`)
	mustExec(t, checkout, `select left_over from public.stock`)
	mustExec(t, other, `update public.stock set left_over = 1`)
	require.NoError(t, other.Commit(ctx))
	_, err := insertEvent(ctx, checkout, "order_paid:E1", "order_paid", "E1", nil)
	require.True(t, isSerializationFailure(err), "%v", err)
}

// Eight tills sell the same things in serializable transactions and repeat those that Postgres refuses, as they must:
// each order has its event.
func TestEachSerializableOrderHasItsEvent(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), storetest.DB(t)
	addDestinations(t, pool, store.Destination{Name: "all", Kind: "webhook", Enabled: true, EventNames: []string{"order_paid"}})
	mustExec(t, pool, `
		create table public.orders (number text primary key);
		create table public.stock (sku int primary key, left_over int);
		insert into public.stock select i, 1000 from generate_series(1, 4) i`)
	const tills, each = 8, 40
	group, ctx := errgroup.WithContext(ctx)
	for till := range tills {
		group.Go(func() error {
			for n := range each {
				if err := sell(ctx, pool, fmt.Sprintf("E%d-%d", till, n), n%4+1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	var orders, without int
	require.NoError(t, pool.QueryRow(t.Context(), `
		select count(*), count(*) filter (where not exists (select from kvit.event e where e.order_ref = o.number))
		from public.orders o`).Scan(&orders, &without))
	require.Equal(t, tills*each, orders)
	require.Zero(t, without)
}

func sell(ctx context.Context, pool *pgxpool.Pool, number string, sku int) error {
	for {
		err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
			for _, statement := range []string{
				`select sum(left_over) from public.stock`,
				`select count(*) from kvit.event where order_ref like 'E1%'`,
				fmt.Sprintf(`update public.stock set left_over = left_over - 1 where sku = %d`, sku),
				`insert into public.orders (number) values ('` + number + `')`,
			} {
				if _, err := tx.Exec(ctx, statement); err != nil {
					return err
				}
			}
			_, err := insertEvent(ctx, tx, "order_paid:"+number, "order_paid", number, nil)
			return err
		})
		if !isSerializationFailure(err) {
			return err
		}
	}
}

// Another constraint than that of the key is no repeat, whoever adds it.
func TestOnlyTheKeyMakesARepeat(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), storetest.DB(t)
	mustExec(t, pool, `create unique index of_somebody on kvit.event (order_ref)`)
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		n, err := insertEvent(ctx, tx, "order_paid:E1", "order_paid", "E1", nil)
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		n, err = insertEvent(ctx, tx, "order_paid:E1", "order_paid", "E1", nil)
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = insertEvent(ctx, tx, "order_shipped:E1", "order_shipped", "E1", nil)
		return err
	})
	require.ErrorContains(t, err, "of_somebody")
}

// Whatever is JSON by syntax is stored, whichever name it is the payload of, and read as it was written.
func TestEveryDocumentIsTaken(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"Nul":           `{"customer": {"email": "jane@example.com", "first_name": "a\u0000b"}, "cart": {"id": "c\u00001"}}`,
		"HighSurrogate": `{"customer": {"email": "jane@example.com", "first_name": "\ud83d"}, "cart": {"id": "\uD83D"}}`,
		"LowSurrogate":  `{"customer": {"email": "jane@example.com", "first_name": "x\ude00y"}, "cart": {"id": 1}}`,
		"Emoji":         `{"customer": {"email": "jane@example.com", "first_name": "\ud83d\ude00 \\u0000"}, "cart": {"id": 1}}`,
		"Backslashes":   `{"customer": {"email": "jane@example.com", "first_name": "\\\\\u0000\\"}, "cart": {"id": "\\"}}`,
		"HugeNumber":    `{"customer": {"email": "jane@example.com", "id": 1e999999}, "cart": {"id": 1e999999}}`,
		"Twice":         `{"customer": {"email": "old@example.com"}, "customer": {"email": "jane@example.com"}, "cart": {"id": 1, "id": 2}}`,
		"Deep":          strings.Repeat(`[`, 2000) + strings.Repeat(`]`, 2000),
		"Empty":         `""`,
		"Large":         `{"customer": {"email": "jane@example.com"}, "custom": "` + strings.Repeat(`x`, 50_000_000) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, tx := t.Context(), storetest.Tx(t)
			for _, event := range []string{"order_paid", "cart_updated", "newsletter_optin", "account_created"} {
				_, err := tx.Exec(ctx, `insert into kvit.tracking_event (event_key, name, payload, consent) values ($1, $1, $2, $3)`, event, document, document)
				require.NoError(t, err, event)
				if name == "Large" {
					break // once is enough
				}
			}
			events, err := store.Events(ctx, tx, "all", eventIDs(t, tx), destination.MaxPayload)
			require.NoError(t, err)
			for _, e := range events {
				require.Nil(t, e.Defect)
				if !e.TooLarge {
					require.Equal(t, document, string(e.Payload))
				}
			}
		})
	}
}

// A person is found, shown and erased whatever else stands in the payload.
func TestPersonBehindWhatPostgresCannotReadIsFound(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	mustExec(t, tx, `insert into kvit.tracking_event (event_key, name, payload) values
		('a', 'page_viewed', '{"customer": {"email": "jane@example.com", "first_name": "a\u0000b \\ud83d"}, "client": {"ga_client_id": "1.2"}}'),
		('b', 'page_viewed', '{"customer": {"email": "jane@example.com", "first_name": "\ud83d \ude00"}}'),
		('c', 'page_viewed', '{"customer": {"email": "other@example.com"}}')`)
	subject := store.Subject{Email: "jane@example.com"}
	objects := collect(t, func(do func([]byte) error) error { return store.EachSubjectEvent(ctx, tx, subject, nil, do) })
	require.Equal(t, []any{"a", "b"}, values(objects, "event_key"))
	clients, err := store.SubjectClients(ctx, tx, subject, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"1.2"}, clients)
}

// The shop's references, evidence and holds meet whoever wrote a blank too many.
func TestReferencesAreWrittenOneWay(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	const blank = " \t\n\r\f\v"
	mustExec(t, tx, `insert into kvit.tracking_event (event_key, name, order_ref) values ('a', 'order_paid', $1), ('b', 'order_paid', $2)`, blank+"SP 1"+blank, blank)
	mustExec(t, tx, `insert into kvit.erp_receipt (order_ref, erp_order_number) values ($1, $2)`, blank+"SP 1"+blank, blank+"SO-1"+blank)
	mustExec(t, tx, `insert into kvit.legal_hold (order_ref, reason, placed_by) values ($1, 'a case', 'legal')`, blank+"SP 1"+blank)
	for _, table := range []string{"event", "erp_receipt", "legal_hold"} {
		var ref string
		require.NoError(t, tx.QueryRow(ctx, `select string_agg(order_ref, ',') from kvit.`+table).Scan(&ref))
		require.Equal(t, "SP 1", ref, table)
	}
	require.Equal(t, "SP 1", store.OrderRef(blank+"SP 1"+blank))
	var number, stream string
	require.NoError(t, tx.QueryRow(ctx, `select erp_order_number from kvit.erp_receipt`).Scan(&number))
	require.Equal(t, "SO-1", number)
	require.NoError(t, tx.QueryRow(ctx, `select stream from kvit.event where event_key = 'a'`).Scan(&stream))
	require.Equal(t, "order:SP 1", stream)

	// The shop's own table may have the blanks, too.
	withBlank := []string{blank + "SP 1"}
	holds, err := store.ActiveHolds(ctx, tx, withBlank, time.Now())
	require.NoError(t, err)
	require.Len(t, holds, 1)
	for _, want := range []map[string]int64{{withBlank[0]: 1}, {}} {
		left, err := store.EventsLeft(ctx, tx, withBlank)
		require.NoError(t, err)
		require.Equal(t, want, left)
		_, err = store.EraseOrderEvents(ctx, tx, withBlank, time.Now())
		require.NoError(t, err)
	}
	require.NoError(t, store.ReleaseHold(ctx, tx, "SP 1 "))
}

// Evidence has the bounds of events: what is longer is cut and ignored, and whoever wrote it gets no error.
func TestEvidenceHasBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("9", 1_000_000)
	for name, c := range map[string]struct {
		columns, values string
		args            []any
		verdict         string
	}{
		"Fits":       {`order_ref, erp_order_number, source`, `'E1', $1, ''`, []any{long[:200]}, "new"},
		"LongNumber": {`order_ref, erp_order_number`, `'E1', $1`, []any{long}, "ignored: erp_order_number: is longer than 200 characters"},
		"LongRef":    {`order_ref`, `$1`, []any{long}, "ignored: order_ref: is longer than 200 characters"},
		"LongSource": {`order_ref, source`, `'E1', $1`, []any{long}, "ignored: source: is longer than 200 characters"},
		"LongKind":   {`order_ref, document_kind`, `'E1', $1`, []any{long}, "ignored: document_kind: is longer than 200 characters"},
		"NoRef":      {`erp_order_number`, `'SO-1'`, nil, "ignored: order_ref: is missing"},
		"BlankRef":   {`order_ref`, `' '`, nil, "ignored: order_ref: is missing"},
		"NoKind":     {`order_ref, document_kind`, `'E1', null`, nil, "new"},
		"NoSource":   {`order_ref, source`, `'E1', null`, nil, "new"},
		"Infinity":   {`order_ref, imported_at`, `'E1', 'infinity'`, nil, "new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := storetest.Tx(t)
			mustExec(t, tx, `insert into kvit.erp_receipt (`+c.columns+`) values (`+c.values+`)`, c.args...)
			var verdict string
			var longest, jobs int
			require.NoError(t, tx.QueryRow(t.Context(), `
				select concat_ws(': ', status, detail), greatest(char_length(order_ref), char_length(erp_order_number), char_length(source), char_length(document_kind)),
				       (select count(*) from kvit.river_job where kind = 'mark_order')
				from kvit.erp_receipt`).Scan(&verdict, &longest, &jobs))
			require.Equal(t, c.verdict, verdict)
			require.LessOrEqual(t, longest, 200)
			require.Equal(t, c.verdict == "new", jobs == 1, "what is ignored is nobody's work")
		})
	}
}

// However much evidence waits for one order, a round reads a bounded piece of it, the oldest first.
func TestLockReceiptsReadsAPiece(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `insert into kvit.erp_receipt (order_ref) select 'E1' from generate_series(1, 6000)`)
	var first, last int64
	require.NoError(t, tx.QueryRow(t.Context(), `select min(id), max(id) from kvit.erp_receipt`).Scan(&first, &last))
	receipts, err := store.LockReceipts(t.Context(), tx, []int64{last})
	require.NoError(t, err)
	require.Len(t, receipts, 5000)
	require.Equal(t, first, receipts[0].ID)
}

// The insert works out by itself of what an event is a state, and has to come to what kvit.event_stream says, by which others are
// compared with it.
func TestInsertKnowsStreamsAsTheFunctionDoes(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	payload := `{"cart": {"id": "c1"}, "customer": {"email": "Jane@Example.com"}}`
	for _, name := range append(slices.Clone(destination.Names), "custom:x", "no name") {
		for _, ref := range []any{"E1", nil} {
			_, err := insertEvent(ctx, tx, fmt.Sprint(name, ":", ref), name, ref, payload)
			require.NoError(t, err)
		}
	}
	var streams, different int
	require.NoError(t, tx.QueryRow(ctx, `
		select count(distinct stream), count(*) filter (where stream is distinct from kvit.event_stream(name, order_ref, payload)) from kvit.event`).Scan(&streams, &different))
	require.Zero(t, different)
	require.Equal(t, 5, streams, "of the order, the cart, the account, and both opt-ins")
}
