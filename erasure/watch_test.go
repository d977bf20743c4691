package erasure

import (
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/schedule"
	"kvit/store"
	"kvit/store/storetest"
	"kvit/watch"
)

// A newer kvit migrates while this one erases: the batch under way when the schema asks for more does not commit.
func TestANewerSchemaEndsARun(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Watch = watch.New(watch.Options{DB: s.db, Knows: 16, Logger: slog.New(slog.DiscardHandler)})
	for i := range 7 {
		s.order("E"+strconv.Itoa(i), 31*day)
	}
	s.OrdersErased = func(int) { s.exec(`update kvit.requirement set migration = 17`) }
	report, err := s.Run(t.Context())
	var old *watch.OldError
	require.ErrorAs(t, err, &old)
	require.Equal(t, watch.OldError{Knows: 16, Needs: 17}, *old)
	require.Equal(t, 3, report.Orders, "the first batch")
	require.Equal(t, 4, value[int](s, `select count(*) from public.orders where personal_data_erased_at is null`))
	require.Equal(t, 1, value[int](s, `select count(*) from kvit.erasure_run where known_migration = 16 and finished_at is null`), "another one has to go on")

	_, err = s.DryRun(t.Context())
	require.True(t, watch.Is(err))
	_, err = s.EraseSubject(t.Context(), SubjectRequest{Reference: "T-1", By: "anna", Subject: store.Subject{Email: "a@example.com"}})
	require.True(t, watch.Is(err))
}

// A process from before there was a minimum does not name its migration, and cannot begin.
func TestAProcessThatDoesNotAskCannotBegin(t *testing.T) {
	t.Parallel()
	_, err := storetest.Tx(t).Exec(t.Context(), `insert into kvit.erasure_run (started_at) values (now())`)
	require.ErrorContains(t, err, "known_migration")
}

// The machine's clock is a month ahead, or behind: nothing goes, and what is due is due by the database's clock.
func TestAWrongClockErasesNothing(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"Ahead": 30 * day, "Behind": -2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.Watch = watch.New(watch.Options{
				DB: s.db, Knows: 16, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Now().Add(ahead) },
			})
			s.order("due", 31*day)
			s.order("fresh", day)
			s.event("search:1", nil)
			_, err := s.RunConfirmed(t.Context())
			var apart *watch.ApartError
			require.ErrorAs(t, err, &apart)
			require.True(t, s.untouched("due"))
			s.Watch = nil
			require.Equal(t, 1, s.run().Orders)
			require.True(t, s.untouched("fresh"))
		})
	}
}

// Nearly all payloads are due at once: that is a clock, and no night.
func TestBrakeOfEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Brake = Brake{MaxEventShare: 0.5}
	s.order("living", day)
	events := func(n int, key, ref, ago string) {
		s.exec(`
			insert into kvit.tracking_event (event_key, name, order_ref, payload)
			select 'search:' || $2::text || i, 'search', nullif($3::text, ''), '{}' from generate_series(1, $1::int) i`, n, key, ref)
		s.exec(`update kvit.event set received_at = now() - $2::interval where event_key like 'search:' || $1::text || '%'`, key, ago)
	}
	events(99, "few", "", "31 days")
	require.Equal(t, 99, s.run().Events, "too few to judge by their share")
	events(150, "kept", "living", "31 days")
	events(101, "old", "", "31 days")
	events(51, "new", "", "1 day")
	require.Equal(t, 101, s.run().Events, "those of an order that lives are not due")

	events(300, "all", "", "31 days")
	report, err := s.Run(t.Context())
	require.ErrorIs(t, err, ErrBraked)
	require.Equal(t, Braking{Due: 300, Reason: "300 of 502 payloads of events are due, more than retention.brake.max_event_share (0.5)"}, *report.Brake)
	require.Zero(t, report.Events)

	monthly, err := schedule.Parse("0 3 1 * *", "UTC")
	require.NoError(t, err)
	s.Schedule = monthly
	require.Equal(t, 300, s.run().Events, "two months of a monthly schedule are two thirds")

	s.Schedule = nil
	s.exec(`update kvit.event set received_at = now() - interval '401 days' where erased_at is not null`)
	s.exec(`delete from kvit.event where event_key like 'search:kept%'`)
	_, err = s.Run(t.Context())
	require.ErrorContains(t, err, "500 of 552 events with their receipts are due")
	report, err = s.RunConfirmed(t.Context())
	require.NoError(t, err)
	require.Equal(t, 500, report.Purged)
}
