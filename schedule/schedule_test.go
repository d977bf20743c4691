package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/schedule"
)

func parse(t *testing.T, text, zone string) (*schedule.Schedule, *time.Location) {
	t.Helper()
	s, err := schedule.Parse(text, zone)
	require.NoError(t, err)
	location, err := time.LoadLocation(zone)
	require.NoError(t, err)
	return s, location
}

func TestSummerTime(t *testing.T) {
	t.Parallel()
	s, zone := parse(t, "30 2 * * *", "Europe/Copenhagen")
	next := s.Next(time.Date(2027, 3, 27, 12, 0, 0, 0, zone))
	require.Equal(t, "2027-03-28T03:00:00+02:00", next.In(zone).Format(time.RFC3339), "02:30 is skipped")
	require.Equal(t, "2027-03-29T02:30:00+02:00", s.Next(next).In(zone).Format(time.RFC3339))

	next = s.Next(time.Date(2027, 10, 30, 12, 0, 0, 0, zone))
	require.Equal(t, "2027-10-31T02:30:00+02:00", next.In(zone).Format(time.RFC3339), "the first 02:30")
	require.Equal(t, "2027-11-01T02:30:00+01:00", s.Next(next).In(zone).Format(time.RFC3339), "not the second")
}

// Over all days of several years and zones: a daily schedule has one run a day, on that day, at its time or at the
// first minute that exists after it; runs only go forward; and the last run is the one before the next.
func TestEveryDayHasOneRun(t *testing.T) {
	t.Parallel()
	zones := []string{
		"Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Tehran", "Africa/Casablanca",
		"America/Santiago", "Asia/Beirut", "UTC", "Asia/Kolkata",
	}
	for _, zone := range zones {
		for _, clock := range [][2]int{{0, 0}, {0, 30}, {1, 15}, {2, 0}, {2, 30}, {3, 0}, {23, 59}} {
			t.Run(fmt.Sprintf("%s/%02d%02d", zone, clock[0], clock[1]), func(t *testing.T) {
				t.Parallel()
				s, location := parse(t, fmt.Sprintf("%d %d * * *", clock[1], clock[0]), zone)
				at := s.Next(time.Date(2013, 12, 31, 12, 0, 0, 0, time.UTC))
				for range 6 * 366 {
					day := at.In(location)
					meant := time.Date(day.Year(), day.Month(), day.Day(), clock[0], clock[1], 0, 0, time.UTC)
					shown := time.Date(day.Year(), day.Month(), day.Day(), day.Hour(), day.Minute(), 0, 0, time.UTC)
					require.False(t, shown.Before(meant), "%s is before its time", day)
					if shown.After(meant) {
						before := at.Add(-time.Minute).In(location)
						require.True(t, before.Hour()*60+before.Minute() < clock[0]*60+clock[1] || before.Day() != day.Day(),
							"%s is not the first minute that exists after the one meant", day)
					}
					next := s.Next(at)
					require.True(t, next.After(at))
					require.Equal(t, at, s.Last(next.Add(-time.Second)))
					require.Equal(t, next, s.Last(next))
					nextDay := next.In(location)
					gap := time.Date(nextDay.Year(), nextDay.Month(), nextDay.Day(), 0, 0, 0, 0, time.UTC).
						Sub(time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC))
					require.Equal(t, 24*time.Hour, gap, "from %s to %s", day, nextDay)
					at = next
				}
			})
		}
	}
}

// Samoa had no 30 December 2011: its run took place at the first minute after it.
func TestADayThatIsSkipped(t *testing.T) {
	t.Parallel()
	s, zone := parse(t, "30 2 * * *", "Pacific/Apia")
	at := time.Date(2011, 12, 29, 12, 0, 0, 0, zone)
	for _, want := range []string{"2011-12-31T00:00:00+14:00", "2011-12-31T02:30:00+14:00", "2012-01-01T02:30:00+14:00"} {
		at = s.Next(at)
		require.Equal(t, want, at.In(zone).Format(time.RFC3339))
	}
}

// A schedule of every few minutes never stops for longer than the hour that comes twice.
func TestEveryFiveMinutes(t *testing.T) {
	t.Parallel()
	s, zone := parse(t, "*/5 * * * *", "Europe/Copenhagen")
	at := s.Next(time.Date(2027, 1, 1, 0, 0, 0, 0, zone))
	for at.Year() < 2028 {
		next := s.Next(at)
		wait := next.Sub(at)
		require.True(t, wait == 5*time.Minute || wait == 65*time.Minute && at.In(zone).Month() == time.October, "%s, then %s", at, next)
		at = next
	}
}

func TestOverdue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, now string
		grace     time.Duration
	}{
		"Daily":            {"30 3 * * *", "2027-02-03T12:00:00+01:00", 8*time.Hour + 30*time.Minute},
		"TheRunMayBeUnder": {"30 3 * * *", "2027-02-03T05:00:00+01:00", 25*time.Hour + 30*time.Minute},
		"Weekly":           {"30 3 * * 1", "2027-02-07T03:30:00+01:00", 6 * 24 * time.Hour}, // a Sunday
		"ASpringDay":       {"30 3 * * *", "2027-03-28T05:00:00+02:00", 24*time.Hour + 30*time.Minute},
		"Every":            {"@every 1h", "2027-02-03T12:00:00+01:00", 2*time.Hour + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := parse(t, c.text, "Europe/Copenhagen")
			now, err := time.Parse(time.RFC3339, c.now)
			require.NoError(t, err)
			if name == "Every" {
				require.InDelta(t, c.grace, s.Overdue(now), float64(3*time.Hour))
				return
			}
			require.Equal(t, c.grace, s.Overdue(now))
		})
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	_, err := schedule.Parse("30 3 * *", "UTC")
	require.ErrorContains(t, err, "read schedule")
	_, err = schedule.Parse("30 3 * * *", "Europe/Atlantis")
	require.ErrorContains(t, err, "read time zone")
}
