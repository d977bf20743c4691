// Package schedule runs cron schedules by the clock on the wall: at the first minute that exists where summer time skips
// the one that was meant, and once where winter time has it twice. The cron library leaves the one out and does the other
// twice.
package schedule

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule tells when something is due. The zero value never is.
type Schedule struct {
	wall  cron.Schedule // times on the wall, written as if they were UTC
	zone  *time.Location
	every bool // a fixed delay from any time, which no zone changes
}

// Parse reads five cron fields or a descriptor, such as @daily or "@every 5m", of a zone.
func Parse(text, zone string) (*Schedule, error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("read time zone: %w", err)
	}
	wall, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("read schedule: %w", err)
	}
	s := &Schedule{wall: wall, zone: location}
	switch spec := wall.(type) {
	case *cron.SpecSchedule:
		spec.Location = time.UTC
	default:
		s.every = true
	}
	return s, nil
}

// Next is the first time after t; zero: there is none within five years. It is what River and the cron library take.
func (s *Schedule) Next(t time.Time) time.Time {
	if s.every {
		return s.wall.Next(t)
	}
	for wall := s.wall.Next(onWall(t, s.zone)); !wall.IsZero(); wall = s.wall.Next(wall) {
		// Of a minute that comes twice the first counts, so that it may be over by now.
		if at := first(wall, s.zone); at.After(t) {
			return at
		}
	}
	return time.Time{}
}

// Last is the last time that is not after t; zero: there is none within the five years before.
func (s *Schedule) Last(t time.Time) time.Time {
	const longest = 5 * 366 * 24 * time.Hour
	for back := 2 * time.Minute; back < 4*longest; back *= 4 {
		at := s.Next(t.Add(-back))
		if at.IsZero() || at.After(t) {
			continue
		}
		for next := s.Next(at); !next.IsZero() && !next.After(t); next = s.Next(at) {
			at = next
		}
		return at
	}
	return time.Time{}
}

// allowance is how long after its time a run may still be at work.
const allowance = 2 * time.Hour

// Overdue is for how long something may have been due at t without being overdue: since the last run that must be over
// by now. Without such a run nothing is overdue, and it is a hundred years.
func (s *Schedule) Overdue(t time.Time) time.Duration {
	run := s.Last(t.Add(-allowance))
	if run.IsZero() {
		return 100 * 365 * 24 * time.Hour
	}
	return t.Sub(run)
}

// onWall is what a clock on the wall shows, as if that were UTC.
func onWall(t time.Time, zone *time.Location) time.Time {
	local := t.In(zone)
	return time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), time.UTC)
}

// first is when the clock on the wall shows this for the first time, or the end of the gap if it never does.
func first(wall time.Time, zone *time.Location) time.Time {
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), zone)
	start, end := at.ZoneBounds()
	switch shown := onWall(at, zone); {
	case shown.After(wall): // it is after the gap
		return start
	case shown.Before(wall): // before it
		return end
	}
	if start.IsZero() {
		return at
	}
	// The zone before may have shown it as well.
	_, offset := start.Add(-time.Second).Zone()
	if earlier := wall.Add(-time.Duration(offset) * time.Second); earlier.Before(start) {
		return earlier.In(zone)
	}
	return at
}
