package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/group"
	"kvit/store"
	"kvit/store/storetest"
)

const (
	waitFor = 30 * time.Second
	tick    = 20 * time.Millisecond

	// marker is what no error, log or row may hold.
	marker = "Mxrkxr"
)

// provider is a destination that answers as the test says.
type provider struct {
	send   func(ctx context.Context, e destination.Event) (int, error)
	traits destination.Traits
}

func (p *provider) Send(ctx context.Context, e destination.Event) (int, error) { return p.send(ctx, e) }
func (p *provider) Traits() destination.Traits                                 { return p.traits }

// bench is a lane over a transaction that is rolled back.
type bench struct {
	t        *testing.T
	tx       pgx.Tx
	lane     *Lane
	sent     []destination.Event
	answer   error
	disabled []string

	attemptText string // of earlier attempts' errors
	putBack     int    // how often it was before
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, tx: storetest.Tx(t), attemptText: "the provider was away; may have arrived"}
	p := &provider{
		traits: destination.Traits{Events: destination.Names, States: destination.Names},
		send: func(_ context.Context, e destination.Event) (int, error) {
			b.sent = append(b.sent, e)
			return 204, b.answer
		},
	}
	require.NoError(t, store.SyncDestinations(t.Context(), b.tx, []store.Destination{
		{Name: "crm", Kind: "webhook", Enabled: true, EventNames: destination.Names},
	}, true))
	b.lane = NewLane(Settings{
		Name: "crm", Destination: p, Purpose: "marketing", Concurrency: 1, RetryFor: time.Hour, MaxAge: 24 * time.Hour,
	}, b.tx, 4*time.Second, NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	b.lane.disable = func(_ context.Context, name, _ string) { b.disabled = append(b.disabled, name) }
	return b
}

// event inserts an event as the shop does; columns overrides the defaults, as SQL.
func (b *bench) event(name string, columns map[string]string) int64 {
	b.t.Helper()
	names, values := "event_key, name", fmt.Sprintf("'%s:%d', '%s'", name, time.Now().UnixNano(), name)
	if _, given := columns["consent"]; !given {
		names, values = names+", consent", values+`, '{"marketing": true}'`
	}
	for column, value := range columns {
		names, values = names+", "+column, values+", "+value
	}
	_, err := b.tx.Exec(b.t.Context(), `insert into kvit.tracking_event (`+names+`) values (`+values+`)`)
	require.NoError(b.t, err)
	var id int64
	require.NoError(b.t, b.tx.QueryRow(b.t.Context(), `select max(id) from kvit.event`).Scan(&id))
	return id
}

func (b *bench) work(ctx context.Context, eventID int64, failedAt ...time.Time) Verdict {
	a := Attempt{EventID: eventID, Number: len(failedAt) + 1, First: time.Now(), Failures: len(failedAt), PutBack: b.putBack}
	if len(failedAt) > 0 {
		a.First = failedAt[0]
		if IsUnclear(b.attemptText) {
			a.Unclear = failedAt[0]
		}
	}
	return b.lane.Work(ctx, a)
}

// receipt is "outcome: reason", empty if there is none.
func (b *bench) receipt(eventID int64) string {
	b.t.Helper()
	var text string
	err := b.tx.QueryRow(context.WithoutCancel(b.t.Context()), `
		select outcome || coalesce(': ' || reason, '') from kvit.delivery where event_id = $1`, eventID).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return ""
	}
	require.NoError(b.t, err)
	return text
}

func requireDone(t *testing.T, v Verdict) {
	t.Helper()
	require.Equal(t, Verdict{Kind: Done}, v)
}

func requireGivenUp(t *testing.T, v Verdict, reason string) {
	t.Helper()
	require.Equal(t, GivenUp, v.Kind)
	require.ErrorContains(t, v.Err, reason)
}

func requireTriedAgain(t *testing.T, v Verdict, reason string) {
	t.Helper()
	require.Equal(t, TryAgain, v.Kind)
	require.EqualError(t, v.Err, reason)
}

// requireStopped: River takes this error of a job that it has told to stop as "available again, no attempt used".
func requireStopped(t *testing.T, v Verdict) {
	t.Helper()
	require.Equal(t, TryAgain, v.Kind)
	require.ErrorIs(t, v.Err, context.Canceled)
}

func requirePutBack(t *testing.T, v Verdict) time.Duration {
	t.Helper()
	require.Equal(t, PutBack, v.Kind)
	require.NoError(t, v.Err)
	return v.Wait
}

func TestDeliveryLeavesAReceiptAndIsNotRepeated(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.event("order_paid", map[string]string{"order_ref": "'E1'", "payload": `'{"order": {"ref": "E1", "total": "749.00"}}'`})
	for range 3 {
		requireDone(t, b.work(t.Context(), id))
	}
	require.Len(t, b.sent, 1, "the receipt is looked at before each send")
	require.Equal(t, "delivered", b.receipt(id))
	require.Equal(t, "E1", b.sent[0].OrderRef)
	require.EqualValues(t, "749.00", b.sent[0].Payload.Order.Total)
	var code, attempts int
	require.NoError(t, b.tx.QueryRow(t.Context(), `select response_code, attempts from kvit.delivery`).Scan(&code, &attempts))
	require.Equal(t, []int{204, 1}, []int{code, attempts})
}

func TestConsentFailsClosed(t *testing.T) {
	t.Parallel()
	const no, unclear, none = "no consent for marketing", "consent is not understood: marketing is neither true nor false", "consent is not understood: it is no object of purposes"
	for consent, reason := range map[string]string{
		`'{}'`: no, `'{"marketing": false}'`: no, `'{"marketing": "true"}'`: unclear, `'{"marketing": 1}'`: unclear, `'{"analytics": true}'`: no,
		`'{"Marketing": true}'`: no, `'"marketing"'`: none, `'["marketing"]'`: none, `'true'`: none, `'null'`: no, `null`: no, `default`: no,
		`'{"marketing": true, "seen": "\ud83d", "marketing": "granted"}'`: unclear, `'{"marketing\u0000": true}'`: no,
	} {
		t.Run(consent, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			id := b.event("order_paid", map[string]string{"consent": consent})
			requireDone(t, b.work(t.Context(), id))
			require.Equal(t, "withheld: "+reason, b.receipt(id))
			require.Empty(t, b.sent)
		})
	}
}

// The document is the same, however often a program has encoded it; and what Postgres cannot hold as jsonb is none of its purposes.
func TestConsentWhoseMeaningIsCertainIsRead(t *testing.T) {
	t.Parallel()
	for _, consent := range []string{`'"{\"marketing\": true}"'`, `'{"marketing": true, "banner": "\u0000"}'`, `'{"marketing": true, "version": 1e999999}'`} {
		t.Run(consent, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			id := b.event("order_paid", map[string]string{"consent": consent})
			requireDone(t, b.work(t.Context(), id))
			require.Equal(t, "delivered", b.receipt(id))
		})
	}
}

func TestNoConsentIsNeededWhereThereIsAnotherLegalBasis(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.lane.Purpose = ""
	id := b.event("order_paid", map[string]string{"consent": "'{}'"})
	requireDone(t, b.work(t.Context(), id))
	require.Equal(t, "delivered", b.receipt(id))
}

func TestBadInputIsRejectedByFieldAndHoldsNoPersonalData(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ payload, field string }{
		"NotAnObject":   {`'"Mxrkxr"'`, "payload"},
		"Array":         {`'["Mxrkxr"]'`, "payload"},
		"FiveMegabytes": {`jsonb_build_object('custom', jsonb_build_object('text', repeat('Mxrkxr', 900000)))`, "payload"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			id := b.event("order_paid", map[string]string{"payload": c.payload})
			v := b.work(t.Context(), id)
			requireGivenUp(t, v, c.field)
			require.True(t, strings.HasPrefix(b.receipt(id), "rejected: "+c.field), b.receipt(id))
			require.NotContains(t, v.Err.Error()+b.receipt(id), marker)
			require.Empty(t, b.sent)
		})
	}
}

// TestWhatCannotBeReadIsLeftOutAndNoted: an event is delivered without a member that cannot be read, and its
// receipt, the log and the metric say so by the member's name.
func TestWhatCannotBeReadIsLeftOutAndNoted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.lane.Country = "DK"
	id := b.event("order_paid", map[string]string{"payload": `'{"customer": {"email": "Mxrkxr at example", "phone": "12 34 56 78", "first_name": 12},
		"order": {"total": 749.95, "items": [{}, {"quantity": "Mxrkxr"}, {"quantity": "Mxrkxr"}]}}'`})
	requireDone(t, b.work(t.Context(), id))
	require.Equal(t, "delivered: without customer.email: no e-mail address; "+
		"without order.items[1].quantity: no number above 0 with at most 9 digits before the point", b.receipt(id))
	require.Len(t, b.sent, 1)
	got := b.sent[0].Payload
	require.Equal(t, "749.95 12 +4512345678", string(got.Order.Total)+" "+got.Customer.FirstName+" "+got.Customer.Phone)
	require.Equal(t, []string{"customer.email", "order.items.quantity"}, fieldsCounted(t, b.lane))
}

// TestPayloadIsNotReadToBePassedOn: what is passed on as it is stored is delivered without nothing, but has to be an object.
func TestPayloadIsNotReadToBePassedOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.lane.traits.Raw = true
	id := b.event("order_paid", map[string]string{"payload": `'{"order": {"total": "Mxrkxr"}}'`})
	requireDone(t, b.work(t.Context(), id))
	require.Equal(t, "delivered", b.receipt(id))
	require.Equal(t, destination.Payload{}, b.sent[0].Payload)
	require.Equal(t, `{"order": {"total": "Mxrkxr"}}`, string(b.sent[0].Raw))
	id = b.event("order_paid", map[string]string{"payload": `'[7]'`})
	requireGivenUp(t, b.work(t.Context(), id), "payload: must be an object")
	require.Empty(t, fieldsCounted(t, b.lane))
}

// fieldsCounted are the fields that the metric has counted as left out.
func fieldsCounted(t *testing.T, lane *Lane) []string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(lane.metrics.omissions)
	families, err := registry.Gather()
	require.NoError(t, err)
	var fields []string
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			require.Equal(t, lane.Name, metric.GetLabel()[0].GetValue())
			fields = append(fields, metric.GetLabel()[1].GetValue())
		}
	}
	return fields
}

// TestNoteSaysNothingTwice: a destination that rejects an event for what could not be read has said so.
func TestNoteSaysNothingTwice(t *testing.T) {
	t.Parallel()
	omitted := destination.Omissions{{Member: "customer.phone", Place: "customer.phone", Why: "no phone number"}, {Member: "order.total", Place: "order.total", Why: "no amount"}}
	require.Equal(t, "order.total: no amount; without customer.phone: no phone number", withNote(ending{Outcome: Rejected, Reason: "order.total: no amount"}, omitted))
	require.Equal(t, "order.total: no amount", withNote(ending{Outcome: Rejected, Reason: "order.total: no amount"}, omitted[1:]))
	require.Len(t, omitted, 2)
}

// TestRejectedForWhatCouldNotBeRead: the receipt of an event that a provider cannot take without a member names
// what the shop wrote there.
func TestRejectedForWhatCouldNotBeRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.answer = destination.Reject("order.total: is required")
	id := b.event("order_paid", map[string]string{"payload": `'{"order": {"total": "Mxrkxr"}}'`})
	requireGivenUp(t, b.work(t.Context(), id), "order.total")
	require.Equal(t, "rejected: order.total: is required; without order.total: no amount with at most 12 digits before the point", b.receipt(id))
}

func TestRefusedBeforeSending(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event   map[string]string
		change  string
		receipt string
	}{
		"Defect":  {event: map[string]string{"order_ref": "repeat('x', 300)"}, receipt: "rejected: order_ref: is longer than 200 characters"},
		"Expired": {event: map[string]string{"occurred_at": "now() - interval '2 days'"}, receipt: "expired: occurred more than 1d ago (max_age)"},
		"Erased":  {change: `update kvit.event set erased_at = now(), payload = null`, receipt: "erased: its data was due before it could be delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			id := b.event("order_paid", c.event)
			_, err := b.tx.Exec(t.Context(), c.change)
			require.NoError(t, err)
			_ = b.work(t.Context(), id)
			require.Equal(t, c.receipt, b.receipt(id))
			require.Empty(t, b.sent)
		})
	}
}

// One place decides what an attempt's error means.
func TestWhatFollowsFromAnError(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T, kind destination.Kind) (*bench, int64) {
		b := newBench(t)
		b.answer = &destination.Error{Kind: kind, Code: 418, Reason: "the provider said no"}
		return b, b.event("order_paid", nil)
	}
	longAgo := time.Now().Add(-2 * time.Hour)

	t.Run("RejectedEnds", func(t *testing.T) {
		t.Parallel()
		b, id := setup(t, destination.Rejected)
		requireGivenUp(t, b.work(t.Context(), id), "the provider said no (HTTP 418)")
		require.Equal(t, "rejected: the provider said no (HTTP 418)", b.receipt(id))
	})
	for kind, ending := range map[destination.Kind]string{
		destination.Misconfigured: notTaken, destination.Unreachable: notTaken, destination.Ambiguous: "; may have arrived",
	} {
		t.Run(kind.String()+"IsTriedAgain", func(t *testing.T) {
			t.Parallel()
			b, id := setup(t, kind)
			requireTriedAgain(t, b.work(t.Context(), id), "the provider said no (HTTP 418)"+ending)
			require.Empty(t, b.receipt(id))
		})
		t.Run(kind.String()+"FailsInTheEnd", func(t *testing.T) {
			t.Parallel()
			b, id := setup(t, kind)
			requireGivenUp(t, b.work(t.Context(), id, longAgo), "failed")
			require.Equal(t, "failed: no success within 1h; last: the provider said no (HTTP 418)", b.receipt(id))
		})
	}
	t.Run("RetryAfterIsASnooze", func(t *testing.T) {
		t.Parallel()
		b, id := setup(t, destination.Throttled)
		b.answer.(*destination.Error).RetryAfter = 10 * time.Minute
		wait := requirePutBack(t, b.work(t.Context(), id))
		require.GreaterOrEqual(t, wait, 10*time.Minute)
		require.Less(t, wait, 13*time.Minute)
		require.Empty(t, b.receipt(id))
	})
	for _, kind := range []destination.Kind{destination.Throttled, destination.Unauthorized} {
		t.Run(kind.String()+"WaitsHoweverLongItTakes", func(t *testing.T) {
			t.Parallel()
			b, id := setup(t, kind)
			_, err := b.tx.Exec(t.Context(), `update kvit.event set received_at = now() - interval '2 days'`)
			require.NoError(t, err)
			require.Greater(t, requirePutBack(t, b.work(t.Context(), id, longAgo)), FirstHold/2)
			require.Empty(t, b.receipt(id))
		})
	}
	t.Run("WaitsLongerEachTimeItIsTurnedAway", func(t *testing.T) {
		t.Parallel()
		b, id := setup(t, destination.Unauthorized)
		b.putBack = 5
		require.Greater(t, requirePutBack(t, b.work(t.Context(), id)), backoffs[5]*7/10)
	})
	t.Run("TriesAgainAfterTheHold", func(t *testing.T) {
		t.Parallel()
		b, id := setup(t, destination.Throttled)
		b.answer.(*destination.Error).RetryAfter = time.Hour
		requirePutBack(t, b.work(t.Context(), id))
		require.Greater(t, b.lane.RetryIn(0), 59*time.Minute, "an event that failed while the hold began")
	})
	t.Run("GoneDisablesAndLosesNothing", func(t *testing.T) {
		t.Parallel()
		b, id := setup(t, destination.Gone)
		requirePutBack(t, b.work(t.Context(), id))
		require.Equal(t, []string{"crm"}, b.disabled)
		require.Empty(t, b.receipt(id))
	})
	t.Run("AnErrorOutsideTheContractIsNotShown", func(t *testing.T) {
		t.Parallel()
		b, id := setup(t, destination.Ambiguous)
		b.answer = errors.New("no route to " + marker)
		v := b.work(t.Context(), id)
		require.Error(t, v.Err)
		require.NotContains(t, v.Err.Error(), marker)
	})
}

func TestPanicIsCaughtWithoutItsValue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.event("order_paid", nil)
	b.lane.Destination.(*provider).send = func(context.Context, destination.Event) (int, error) { panic(marker) }
	for range 2 { // the second one would wait for ever if the first had kept its request slot
		requireTriedAgain(t, b.work(t.Context(), id), group.ErrPanic.Error()+"; may have arrived")
	}
}

func TestStopPutsTheJobBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.event("order_paid", nil)
	ctx, cancel := context.WithCancel(t.Context())
	b.lane.Destination.(*provider).send = func(context.Context, destination.Event) (int, error) {
		cancel()
		return 0, &destination.Error{Kind: destination.Ambiguous, Reason: "the request was cancelled"}
	}
	requireStopped(t, b.work(ctx, id))
}

func TestDeliveredCountsAlthoughKvitStops(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.event("order_paid", nil)
	ctx, cancel := context.WithCancel(t.Context())
	b.lane.Destination.(*provider).send = func(context.Context, destination.Event) (int, error) {
		cancel()
		return 200, nil
	}
	requireDone(t, b.work(ctx, id))
	require.Equal(t, "delivered", b.receipt(id))
}

func TestWaitsForARequestSlotAndThenSnoozes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.lane.sender.patience = time.Millisecond
	b.lane.sender.busy = b.lane.sender.concurrency
	id := b.event("order_paid", nil)
	requirePutBack(t, b.work(t.Context(), id))
	require.Empty(t, b.sent)
}

func TestEventsOfOneOrderGoInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	placed := b.event("order_placed", map[string]string{"order_ref": "'E1'", "occurred_at": "now() - interval '1 minute'"})
	paid := b.event("order_paid", map[string]string{"order_ref": "'E1'"})
	require.Less(t, requirePutBack(t, b.work(t.Context(), paid)), 2*time.Second)
	requireDone(t, b.work(t.Context(), placed))
	requireDone(t, b.work(t.Context(), paid))
	require.Equal(t, []string{"order_placed", "order_paid"}, []string{b.sent[0].Name, b.sent[1].Name})
}

func TestOlderStateNeverOverwritesANewerOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	paid := b.event("order_paid", map[string]string{"order_ref": "'E1'"})
	requireDone(t, b.work(t.Context(), paid))
	placed := b.event("order_placed", map[string]string{"order_ref": "'E1'", "occurred_at": "now() - interval '1 minute'"})
	requireDone(t, b.work(t.Context(), placed))
	require.Equal(t, "superseded: a later state was delivered before", b.receipt(placed))
	require.Len(t, b.sent, 1)
}

func TestAnEventThatIsNotThereIsGivenUp(t *testing.T) {
	t.Parallel()
	requireGivenUp(t, newBench(t).work(t.Context(), 4711), "does not exist")
}

func TestBackoffGrows(t *testing.T) {
	t.Parallel()
	var last time.Duration
	for failures := range backoffs {
		wait := Backoff(failures)
		require.Greater(t, wait, last/2)
		last = wait
	}
	require.Greater(t, last, 4*time.Hour)
}
