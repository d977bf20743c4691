package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvit/delivery"
	"kvit/destination"
	"kvit/store"
)

func (s *Site) replayRoutes() {
	s.read("GET /replay", s.replay)
	s.operate("POST /replay", s.bulk)
}

// bulkFilter is what the address of the page says: an action, and which deliveries it is about.
type bulkFilter struct {
	Action      string
	Destination string
	Outcomes    []string // of a replay
	Retrying    bool     // of send now and cancel: only what has been tried before
	Order       string
	Name        string // of the event
	Events      string // ids, with spaces between them
	Since       string // in the pages' time zone, or with one of its own
	Until       string
	Unclear     bool // also what the provider may have counted
}

func readFilter(form url.Values) bulkFilter {
	text := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	f := bulkFilter{
		Action: text("action"), Destination: text("destination"), Retrying: form.Has("retrying"), Order: text("order"), Name: text("name"),
		Events: strings.Join(strings.Fields(strings.Join(form["event"], " ")), " "), Since: text("since"), Until: text("until"), Unclear: form.Has("unclear"),
	}
	for _, outcome := range form["outcome"] {
		if outcome != "" {
			f.Outcomes = append(f.Outcomes, outcome)
		}
	}
	if titles[f.Action] == "" {
		f.Action = delivery.ReplayAction
	}
	return f
}

// Narrows tells whether anything but the destination is given: nobody acts on everything by an empty form.
func (f bulkFilter) Narrows() bool {
	return len(f.Outcomes) > 0 || f.Retrying || f.Order != "" || f.Name != "" || f.Events != "" || f.Since != "" || f.Until != ""
}

// Is tells whether an outcome is among those chosen.
func (f bulkFilter) Is(outcome string) bool { return slices.Contains(f.Outcomes, outcome) }

// Values are the filter as a form repeats it.
func (f bulkFilter) Values() url.Values {
	v := url.Values{"action": {f.Action}, "destination": {f.Destination}}
	for name, text := range map[string]string{"order": f.Order, "name": f.Name, "event": f.Events, "since": f.Since, "until": f.Until} {
		if text != "" {
			v.Set(name, text)
		}
	}
	for name, is := range map[string]bool{"retrying": f.Retrying, "unclear": f.Unclear} {
		if is {
			v.Set(name, "1")
		}
	}
	if len(f.Outcomes) > 0 {
		v["outcome"] = f.Outcomes
	}
	return v
}

// bulkPage is the filter, and what it matches.
type bulkPage struct {
	bulkFilter
	Destinations []string
	AllOutcomes  []string
	Names        []string
	Preview      *delivery.Report // nil: there is no filter yet, or it cannot be followed
	MaxAge       time.Duration
	Problem      string
	Requested    []operation
}

// Matching is how many deliveries the filter matches.
func (p bulkPage) Matching() int64 { return p.Preview.Selected + p.Preview.Skipped }

// Arrived tells whether what is sent again has been delivered before.
func (p bulkPage) Arrived() bool {
	return p.Action == delivery.ReplayAction && p.Is(delivery.Delivered) && p.Preview.Selected > 0
}

// Verb is what the button does.
func (p bulkPage) Verb() string {
	return map[string]string{delivery.ReplayAction: "Send again", delivery.CancelAction: "Cancel", delivery.SendNowAction: "Send now"}[p.Action]
}

func (s *Site) replay(w http.ResponseWriter, r *http.Request) error {
	page := bulkPage{bulkFilter: readFilter(r.URL.Query()), AllOutcomes: delivery.ReplayableOutcomes(), Names: destination.Names}
	var err error
	if page.Destinations, err = store.DestinationNames(r.Context(), s.Pool); err != nil {
		return err
	}
	if page.Requested, err = s.operations(r, delivery.ReplayAction, delivery.CancelAction, delivery.SendNowAction); err != nil {
		return err
	}
	if page.Destination == "" {
		return s.render(w, r, "replay", page)
	}
	// A preview counts as if there were a reason; the action itself asks for it.
	act, report, err := s.preview(r, page.bulkFilter, "preview")
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		page.Problem = refused.sentence
	case err != nil:
		return err
	default:
		page.Preview, page.MaxAge = &report, act.MaxAge
	}
	return s.render(w, r, "replay", page)
}

// preview counts what an action would touch, and what it would leave alone.
func (s *Site) preview(r *http.Request, f bulkFilter, reason string) (delivery.Action, delivery.Report, error) {
	act, err := s.actionOf(f, delivery.Audit{Operator: who(r.Context()), Reason: reason}, nil)
	if err != nil {
		return act, delivery.Report{}, err
	}
	if act.Sends {
		act.MaxAge = s.maxAge(f.Destination)
	}
	report, err := act.Preview(r.Context(), s.Pool)
	var unserved delivery.UnservedError
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = refuse(http.StatusNotFound, "There is no such destination.")
	case errors.As(err, &unserved):
		err = refuse(http.StatusConflict, unserved.Error())
	}
	return act, report, err
}

// maxAge is the age beyond which events expire at a destination; 0: they do not.
func (s *Site) maxAge(name string) time.Duration {
	for _, d := range s.Options.Destinations {
		if d.Name == name && d.Lane != nil {
			return d.Lane.MaxAge
		}
	}
	return 0
}

// actionOf makes the action of a filter. Until, if it is given, is the latest time of what is meant.
func (s *Site) actionOf(f bulkFilter, audit delivery.Audit, latest *time.Time) (delivery.Action, error) {
	if f.Destination == "" || !f.Narrows() {
		return delivery.Action{}, refuse(http.StatusBadRequest, "Choose a destination and something beside it: an outcome, an order, an event or a time. Nobody acts on everything at once.")
	}
	events, err := eventNumbers(f.Events)
	if err != nil {
		return delivery.Action{}, err
	}
	since, err := s.timeOf("since", f.Since)
	if err != nil {
		return delivery.Action{}, err
	}
	until, err := s.timeOf("until", f.Until)
	if err != nil {
		return delivery.Action{}, err
	}
	if latest != nil && (until == nil || until.After(*latest)) {
		until = latest
	}
	waiting := store.Waiting{Destination: f.Destination, Events: events, OrderRef: f.Order, EventName: f.Name, Retrying: f.Retrying, Since: since, Until: until}
	switch f.Action {
	case delivery.SendNowAction:
		return delivery.SendNow(store.SendNow(waiting), audit), nil
	case delivery.CancelAction:
		return delivery.Cancel(store.Cancel(waiting), audit), nil
	}
	act, err := delivery.Replay(store.Replay{
		Destination: f.Destination, Outcomes: f.Outcomes, Since: since, Until: until, Events: events, OrderRef: f.Order, EventName: f.Name, IncludeUnclear: f.Unclear,
	}, audit)
	if err != nil {
		return act, refuse(http.StatusBadRequest, "Deliveries that have arrived, or that a later state has superseded, are only sent again event by event; what is erased is not at all.")
	}
	return act, nil
}

// eventNumbers reads ids, with spaces between them; nil: none is given.
func eventNumbers(text string) (ids []int64, err error) {
	for _, word := range strings.Fields(text) {
		id, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "Events are named by their numbers, as kvit.delivery_status has them.")
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// timeOf reads the time of a form: with a zone of its own, or in that of the pages.
func (s *Site) timeOf(name, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return &at, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, s.zone); err == nil {
			return &at, nil
		}
	}
	return nil, refuse(http.StatusBadRequest, fmt.Sprintf("The field %q is no time such as 2026-01-31T08:00.", name))
}

// bulk asks for an action on all that the filter matches, if that is as much as the preview has shown.
func (s *Site) bulk(w http.ResponseWriter, r *http.Request) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	f := readFilter(r.PostForm)
	_, report, err := s.preview(r, f, reason)
	if err != nil {
		return err
	}
	typed, err := strconv.ParseInt(strings.TrimSpace(r.PostForm.Get("number")), 10, 64)
	switch {
	case report.Selected == 0:
		return refuse(http.StatusConflict, "Nothing that the filter matches can be acted on any more. Nothing was done.")
	case err != nil || typed != report.Selected:
		return refuse(http.StatusConflict, fmt.Sprintf("The filter now matches %d events that can be acted on, and that is not the number you have typed. Nothing was done; look at the preview again.", report.Selected))
	}
	now, err := store.Now(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	// What ends, or begins to wait, from here on is not what somebody has looked at.
	act, err := s.actionOf(f, delivery.Audit{Operator: who(r.Context()), Reason: reason}, &now)
	if err != nil {
		return err
	}
	row := act.Row()
	return s.request(w, r, store.NewOperation{
		Kind: act.Name, Subject: act.Destination, Request: row.Selection, Reason: reason, Planned: &report.Selected, Action: &row,
	})
}
