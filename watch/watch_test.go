package watch_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
	"kvit/watch"
)

func TestMain(m *testing.M) { storetest.Run(m) }

// clock may be wrong.
type clock struct{ ahead time.Duration }

func (c *clock) now() time.Time { return time.Now().Add(c.ahead) }

func setUp(t *testing.T) (*watch.Watch, *clock, *bytes.Buffer) {
	t.Helper()
	c, log := &clock{}, &bytes.Buffer{}
	return watch.New(watch.Options{
		DB: storetest.DB(t), Knows: 16, Now: c.now, Records: true, Logger: slog.New(slog.NewTextHandler(log, nil)),
	}), c, log
}

func TestClocksApart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ahead time.Duration
		leads bool
		log   string
	}{
		"Together":      {0, true, ""},
		"ALittle":       {3 * time.Second, true, ""},
		"AheadByHalf":   {30 * time.Second, true, "level=WARN msg=\"this machine's clock and the database's are apart\""},
		"BehindByHalf":  {-30 * time.Second, true, "level=WARN"},
		"AheadByMonth":  {30 * 24 * time.Hour, false, "level=ERROR"},
		"BehindByYears": {-2 * 365 * 24 * time.Hour, false, "level=ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, clock, log := setUp(t)
			clock.ahead = c.ahead
			view, err := w.Look(t.Context())
			require.NoError(t, err)
			require.InDelta(t, c.ahead.Seconds(), view.Ahead().Seconds(), 2)
			if c.leads {
				require.NoError(t, view.MayLead())
				require.NoError(t, view.MayErase())
			} else {
				var apart *watch.ApartError
				require.ErrorAs(t, view.MayLead(), &apart)
				require.True(t, watch.Is(view.MayErase()))
			}
			require.Contains(t, log.String(), c.log)
			require.Equal(t, c.log == "", log.Len() == 0, log.String())
		})
	}
}

// What goes on is told once an hour, and what becomes worse at once.
func TestTellsOnce(t *testing.T) {
	t.Parallel()
	w, clock, log := setUp(t)
	for _, ahead := range []time.Duration{30 * time.Second, 31 * time.Second, 10 * time.Minute, 11 * time.Minute} {
		clock.ahead = ahead
		_, err := w.Look(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
	require.Equal(t, 1, strings.Count(log.String(), "too far apart"))
}

// The time by which events age is the database's, even right after this machine's clock has jumped.
func TestNow(t *testing.T) {
	t.Parallel()
	w, clock, _ := setUp(t)
	clock.ahead = time.Hour
	require.WithinDuration(t, time.Now().Add(time.Hour), w.Now(), time.Minute, "nothing better is known yet")
	_, err := w.Look(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), w.Now(), 10*time.Second)
	require.WithinDuration(t, time.Now().Add(time.Minute), w.Correct(clock.now().Add(time.Minute)), 10*time.Second)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	for knows, may := range map[int]bool{15: false, 16: true, 17: true} {
		view, err := watch.New(watch.Options{DB: db, Knows: knows, Logger: slog.New(slog.DiscardHandler)}).Look(t.Context())
		require.NoError(t, err)
		require.Equal(t, may, view.MayErase() == nil)
		require.NoError(t, view.MayLead(), "it delivers all the same")
	}
}

// The database's clock jumps, while time passes as always.
func TestTheDatabasesClockJumps(t *testing.T) {
	t.Parallel()
	db, log := storetest.DB(t), &bytes.Buffer{}
	w := watch.New(watch.Options{DB: db, Knows: 16, Records: true, Logger: slog.New(slog.NewTextHandler(log, nil))})
	_, err := w.Look(t.Context())
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), `insert into kvit.tracking_event (event_key, name) values ('search:1', 'search')`)
	require.NoError(t, err)
	storetest.ShiftClock(t, db, -time.Hour)
	db.Reset()
	_, err = w.Ask(t.Context(), db) // as /readyz and the leader do, several times a minute
	require.NoError(t, err)
	view, err := w.Look(t.Context())
	require.NoError(t, err)
	require.Contains(t, log.String(), "the database's clock has jumped")
	require.Len(t, view.Future, 1)
	require.Equal(t, "the arrival of an event", view.Future[0].What)
	require.Error(t, view.MayErase())
}

// What was seen a moment ago stands for a look, unless this machine's clock was set meanwhile.
func TestRecent(t *testing.T) {
	t.Parallel()
	w, clock, _ := setUp(t)
	_, ok := w.Recent(time.Hour)
	require.False(t, ok, "it has not looked")
	seen, err := w.Look(t.Context())
	require.NoError(t, err)
	view, ok := w.Recent(time.Hour)
	require.True(t, ok)
	require.Equal(t, seen, view)
	_, ok = w.Recent(0)
	require.False(t, ok, "too long ago")
	for _, step := range []time.Duration{time.Minute, -time.Minute} {
		clock.ahead = step
		_, ok = w.Recent(time.Hour)
		require.False(t, ok)
	}
}
