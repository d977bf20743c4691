package pages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"kvit/delivery"
	"kvit/store"
)

// orderView is the page of one order, or of one event that belongs to none.
type orderView struct {
	Ref          string // empty: it is an event of no order
	At           time.Time
	Marks        *store.OrderMarks // nil: no shop's table is configured, or kvit does not know the order
	Hold         *store.Hold       // nil: none
	Held         bool              // it has not expired
	Events       []eventView       // the oldest first
	Evidence     []store.OrderEvidence
	Certificates []store.OrderCertificate
	Timeline     []instant
	File         string // address of the deliveries as a file; of the evidence: with evidence instead
	EvidenceFile string
}

// eventView is an event and all that became of it.
type eventView struct {
	store.OrderEvent
	Tries []try
}

// try is one attempt, or several of which no more is known than how they ended.
type try struct {
	Destination string
	Number      string // "3", or "1 to 4": they go on over replays; empty: none was made
	State       string
	At          *time.Time // when it ended, or is made
	First       *time.Time // of several: the first one
	Reason      string
	Code        *int
	Unclear     bool
	Ended       bool   // its state is an outcome, not one attempt's failure
	Waits       bool   // it is the one that is made next
	Again       string // who sent it again then, and why; empty: nobody has
	Next        string // address of what can be done about it; empty: nothing
}

// Offer says what Next does.
func (t try) Offer() string {
	if t.Waits {
		return "Send now …"
	}
	return "Send again …"
}

// instant is one line of the timeline.
type instant struct {
	At    time.Time
	What  string
	State string // class; empty: none
	Note  string
}

func (s *Site) orderPage(w http.ResponseWriter, r *http.Request) error {
	v, err := s.readOrder(r)
	if err != nil {
		return err
	}
	return s.render(w, r, "order", v)
}

// readOrder reads the order of ?ref=, or the one that the event of ?event= belongs to.
func (s *Site) readOrder(r *http.Request) (*orderView, error) {
	ctx, v := r.Context(), &orderView{}
	var err error
	if v.At, err = store.Now(ctx, s.reads()); err != nil {
		return nil, err
	}
	var events []store.OrderEvent
	if v.Ref = store.OrderRef(r.URL.Query().Get("ref")); v.Ref == "" {
		events, err = s.eventOf(ctx, v, r.URL.Query().Get("event"))
	}
	if err == nil && !plain(v.Ref) {
		return nil, refuse(http.StatusNotFound, "kvit knows nothing of such an order.")
	}
	if err == nil && v.Ref != "" {
		events, err = s.readParts(ctx, v)
	}
	if err != nil {
		return nil, err
	}
	if len(events) == 0 && v.empty() {
		return nil, refuse(http.StatusNotFound, "kvit knows nothing of this order: it has had no event of it, no evidence from an ERP, no hold and no certificate.")
	}
	if err := s.readRounds(ctx, v, events); err != nil {
		return nil, err
	}
	v.File, v.EvidenceFile = "/orders/deliveries.csv?"+r.URL.RawQuery, "/orders/evidence.csv?"+r.URL.RawQuery
	v.Timeline = timelineOf(v)
	return v, nil
}

// empty tells whether kvit knows nothing of the order but its events.
func (v *orderView) empty() bool {
	return v.Marks == nil && v.Hold == nil && len(v.Evidence) == 0 && len(v.Certificates) == 0
}

// eventOf finds the event of an address; v gets its order, if it has one.
func (s *Site) eventOf(ctx context.Context, v *orderView, id string) ([]store.OrderEvent, error) {
	noSuch := refuse(http.StatusNotFound, "There is no such event.")
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, noSuch
	}
	event, err := store.EventByID(ctx, s.reads(), number)
	if errors.Is(err, store.ErrNotFound) {
		return nil, noSuch
	}
	if err != nil {
		return nil, err
	}
	if event.OrderRef != nil {
		v.Ref = *event.OrderRef
	}
	return []store.OrderEvent{event}, nil
}

// readParts asks all questions about an order at once.
func (s *Site) readParts(ctx context.Context, v *orderView) (events []store.OrderEvent, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(3) // the pool is for deliveries
	group.Go(func() (err error) { events, err = store.EventsOfOrder(ctx, s.reads(), v.Ref); return err })
	group.Go(func() (err error) { v.Marks, err = store.MarksOfOrder(ctx, s.reads(), v.Ref); return err })
	group.Go(func() (err error) { v.Hold, err = store.HoldOfOrder(ctx, s.reads(), v.Ref); return err })
	group.Go(func() (err error) { v.Evidence, err = store.EvidenceOfOrder(ctx, s.reads(), v.Ref); return err })
	group.Go(func() (err error) { v.Certificates, err = store.CertificatesOfOrder(ctx, s.reads(), v.Ref); return err })
	err = group.Wait()
	v.Held = v.Hold != nil && (v.Hold.ExpiresAt == nil || v.Hold.ExpiresAt.After(v.At))
	return events, err
}

func (s *Site) readRounds(ctx context.Context, v *orderView, events []store.OrderEvent) error {
	ids := make([]int64, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	rounds, err := store.Rounds(ctx, s.reads(), ids)
	if err != nil {
		return err
	}
	of := map[int64][]store.Round{}
	for _, round := range rounds {
		of[round.EventID] = append(of[round.EventID], round)
	}
	for _, e := range slices.Backward(events) {
		view := eventView{OrderEvent: e, Tries: triesOf(of[e.ID])}
		for i := range view.Tries {
			view.Tries[i].Next = view.Tries[i].next(e.ID)
		}
		v.Events = append(v.Events, view)
	}
	return nil
}

// triesOf lists attempts by destination. Numbers go on from one round to the next.
func triesOf(rounds []store.Round) (tries []try) {
	before, destination := 0, ""
	for _, r := range rounds {
		if r.Destination != destination {
			before, destination = 0, r.Destination
		}
		for _, failed := range r.Errors {
			tries = append(tries, try{Destination: r.Destination, Number: strconv.Itoa(before + failed.Number), State: "retrying", At: &failed.At, Reason: failed.Error})
		}
		if len(r.Errors) == 0 || r.State != "retrying" {
			tries = append(tries, ending(r, before))
		} else {
			tries = append(tries, try{Destination: r.Destination, State: "pending", At: r.At, Reason: "waits for its next attempt", Waits: true})
		}
		before += r.Attempts
	}
	return tries
}

// next is the address of a preview that names this event at this destination, where something can be done about it.
func (t try) next(event int64) string {
	about := url.Values{"destination": {t.Destination}, "event": {strconv.FormatInt(event, 10)}}
	switch {
	case t.Waits:
		about.Set("action", delivery.SendNowAction)
	case t.Ended && t.Again == "" && slices.Contains(delivery.ReplayableOutcomes(), t.State):
		about.Set("action", delivery.ReplayAction)
		about.Set("outcome", t.State)
	default:
		return ""
	}
	return "/replay?" + about.Encode() + "#preview"
}

func ending(r store.Round, before int) try {
	t := try{
		Destination: r.Destination, State: r.State, At: r.At, Reason: csvText(r.Reason), Code: r.ResponseCode, Unclear: r.Unclear,
		Ended: r.State != "pending" && r.State != "retrying", Number: numbers(before, r.Attempts),
	}
	if r.Attempts > 1 {
		t.First = r.FirstAt
	}
	if r.ReplayedAt != nil {
		t.Again = "sent again by " + csvText(r.ReplayedBy)
		if r.ReplayedReason != nil {
			t.Again += ": " + *r.ReplayedReason
		}
	}
	return t
}

// numbers are those of so many attempts after others.
func numbers(before, attempts int) string {
	switch attempts {
	case 0:
		return ""
	case 1:
		return strconv.Itoa(before + 1)
	default:
		return fmt.Sprintf("%d to %d", before+1, before+attempts)
	}
}

// timelineOf puts everything that has a time in one row, the oldest first.
func timelineOf(v *orderView) (list []instant) {
	add := func(at *time.Time, what, state, note string) {
		if at != nil && !at.After(v.At) {
			list = append(list, instant{*at, what, state, note})
		}
	}
	for _, e := range v.Events {
		defect := csvText(e.Defect)
		add(&e.ReceivedAt, e.Name+" came from the shop", "", defect)
		for _, t := range e.Tries {
			add(t.First, e.Name+" to "+t.Destination, "retrying", "the first of these attempts: "+t.Number)
			if t.Ended || t.State == "retrying" {
				add(t.At, e.Name+" to "+t.Destination, t.State, t.Reason)
			}
		}
		add(e.ErasedAt, "payload of "+e.Name+" erased", "erased", "")
	}
	for _, e := range v.Evidence {
		add(&e.SeenAt, e.Source+" shows it as "+e.DocumentKind+" "+csvText(e.ERPOrderNumber), "", e.Status)
	}
	if m := v.Marks; m != nil {
		add(m.PlacedAt, "placed, as the shop's table has it", "", "")
		add(m.ERPImportedAt, "in the ERP", "", csvText(m.ERPOrderNumber))
		if len(v.Certificates) == 0 {
			add(m.ErasedAt, "erased", "erased", "")
		}
	}
	if v.Hold != nil {
		add(&v.Hold.PlacedAt, "put on hold by "+v.Hold.PlacedBy, "", v.Hold.Reason)
	}
	for _, c := range v.Certificates {
		what := "erased"
		if c.Supplement {
			what = "searched for copies"
		}
		add(&c.ErasedAt, what, "erased", fmt.Sprintf("certificate %d", c.Number))
	}
	slices.SortStableFunc(list, func(a, b instant) int { return a.At.Compare(b.At) })
	return list
}

// orderDeliveriesCSV is every attempt at the events of an order.
func (s *Site) orderDeliveriesCSV(w http.ResponseWriter, r *http.Request) error {
	v, err := s.readOrder(r)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, e := range v.Events {
		for _, t := range e.Tries {
			code := ""
			if t.Code != nil {
				code = strconv.Itoa(*t.Code)
			}
			rows = append(rows, []string{v.Ref, e.EventKey, e.Name, csvTime(e.OccurredAt), t.Destination, t.Number, t.State, csvTime(t.First),
				csvTime(t.At), code, t.Reason, t.Again})
		}
	}
	return writeCSV(w, "deliveries", []string{"order_ref", "event_key", "event", "occurred_at", "destination", "attempt", "state", "first_attempt_at",
		"at", "response_code", "reason", "then"}, rows)
}

// orderEvidenceCSV is what ERPs have shown of an order.
func (s *Site) orderEvidenceCSV(w http.ResponseWriter, r *http.Request) error {
	v, err := s.readOrder(r)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, e := range v.Evidence {
		rows = append(rows, []string{v.Ref, e.Source, e.DocumentKind, csvText(e.ERPOrderNumber), csvTime(e.ImportedAt), csvTime(e.SeenAt), e.Status, csvText(e.Detail)})
	}
	return writeCSV(w, "evidence", []string{"order_ref", "source", "document_kind", "erp_order_number", "imported_at", "seen_at", "status", "detail"}, rows)
}
