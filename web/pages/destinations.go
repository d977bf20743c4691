package pages

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"kvit/jobs"
	"kvit/store"
)

func (s *Site) destinationRoutes() {
	s.read("GET /destinations", s.destinations)
	s.operate("POST /destinations/{name}/pause", s.pause)
	s.operate("POST /destinations/{name}/resume", s.resume)
	s.operate("POST /destinations/{name}/test", s.testEvent)
}

// destinationEntry is a destination as its page shows it.
type destinationEntry struct {
	store.DestinationStatus
	MayTest bool // it is switched on here
}

// State is a word for the coloured frame.
func (d destinationEntry) State() string {
	switch {
	case d.RemovedAt != nil:
		return "removed"
	case d.DisabledReason != nil:
		return "disabled"
	case d.PausedAt != nil:
		return "paused"
	case !d.Enabled:
		return "off"
	case d.HeldUntil != nil:
		return "held"
	default:
		return "on"
	}
}

// Stopped tells whether somebody has to let it work again.
func (d destinationEntry) Stopped() bool { return d.PausedAt != nil || d.DisabledReason != nil }

type destinationsPage struct {
	Destinations []destinationEntry
	Tests        []operation
}

func (s *Site) destinations(w http.ResponseWriter, r *http.Request) error {
	statuses, err := store.DestinationStatuses(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	page := destinationsPage{}
	for _, d := range statuses {
		page.Destinations = append(page.Destinations, destinationEntry{d, s.lives(d.Name)})
	}
	if page.Tests, err = s.operations(r, jobs.TestEvent); err != nil {
		return err
	}
	return s.render(w, r, "destinations", page)
}

// lives tells whether this kvit sends to a destination.
func (s *Site) lives(name string) bool {
	return slices.ContainsFunc(s.Destinations, func(d Destination) bool { return d.Name == name && d.Enabled })
}

func (s *Site) pause(w http.ResponseWriter, r *http.Request) error {
	return s.changePause(w, r, store.PauseDestination, " is paused. What is being sent at this moment ends; everything else waits until you resume.")
}

func (s *Site) resume(w http.ResponseWriter, r *http.Request) error {
	return s.changePause(w, r, store.ResumeDestination, " works again. What waited for it is being sent.")
}

func (s *Site) changePause(w http.ResponseWriter, r *http.Request, change func(context.Context, store.DB, store.Pause) error, done string) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	err = change(r.Context(), s.Pool, store.Pause{Destination: name, Who: who(r.Context()), Reason: reason})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refuse(http.StatusNotFound, "There is no such destination.")
	case errors.Is(err, store.ErrPaused):
		return refuse(http.StatusConflict, name+" is paused already. Nothing was done.")
	case errors.Is(err, store.ErrNotPaused):
		return refuse(http.StatusConflict, name+" is not paused. Nothing was done.")
	case err != nil:
		return err
	}
	s.say(r, name+done)
	return s.see(w, r, "/destinations")
}

func (s *Site) testEvent(w http.ResponseWriter, r *http.Request) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	if !s.lives(name) {
		return refuse(http.StatusConflict, "This kvit does not send to that destination. Nothing was done.")
	}
	return s.request(w, r, store.NewOperation{Kind: jobs.TestEvent, Subject: name, Reason: reason})
}

// stopped is for the banner on every page. A page that cannot ask shows what it has.
func (s *Site) stopped(r *http.Request) []store.Stopped {
	list, err := store.StoppedDestinations(r.Context(), s.Pool)
	if err != nil {
		s.Logger.Warn("paused destinations could not be read", "problem", store.Describe(err))
	}
	return list
}
