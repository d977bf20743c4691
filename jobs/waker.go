package jobs

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river/riverdriver"

	"kvit/store"
	"kvit/watch"
)

// waker tells River's producers when to look for jobs, beside the notifications that the database sends.
//
// A notification costs the shop: its commit then waits for those of all other transactions that notify, for a whole write to
// disk each, so that eight connections are as slow as one. While events come fast nobody has to be woken for each, so
// that the waker says so in the database, for a second or two at a time, and wakes the producers by itself. It forgets
// nothing: what was written while the word still held is found by looking, at first after a moment and then less
// and less often. Such an event waits for no longer than its transaction took, and never for longer than idleLook; the
// same look finds what a lost notification was about.
//
// River waits for one notification at a time: nothing here is called twice at once but fetched.
type waker struct {
	db      store.DB
	queues  []string
	now     func() time.Time
	traffic *traffic
	watch   *watch.Watch
	known   *known

	next   time.Time     // the next look
	pause  time.Duration // before it
	looked bool          // the last look found jobs

	heardFrom time.Time // since when heard counts
	heard     map[string]int

	awakeUntil  time.Time // the word that was given holds until then
	rounds      int       // since it was given
	useful      int       // of these, those after which jobs were fetched
	allAt       time.Time // the last one that was about all queues
	fetchedUpto int64
}

const (
	awakeFor   = 2 * time.Second
	renewAt    = time.Second            // before the word ends
	awakePause = 5 * time.Millisecond   // between rounds while awake
	busyPause  = 250 * time.Millisecond // after a look that found jobs which were then fetched
	idleLook   = 5 * time.Second

	heardWindow = 250 * time.Millisecond
	heardMany   = 75 // notifications of one queue in a window: from 300 a second on, rounds are cheaper and nearly as quick
	othersEvery = 8  // rounds, of destinations from which nothing was fetched lately
)

// traffic is what was fetched lately, by queue.
type traffic struct {
	mu    sync.Mutex
	total int64
	last  map[string]time.Time
}

func newTraffic() *traffic { return &traffic{last: map[string]time.Time{}} }

func (t *traffic) fetched(queue string, n int, at time.Time) {
	if n == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total += int64(n)
	t.last[queue] = at
}

func (t *traffic) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

func (t *traffic) since(queue string, at time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last[queue].After(at)
}

func newWaker(db store.DB, queues []string, r relay, w *watch.Watch) *waker {
	return &waker{db: db, queues: queues, now: time.Now, traffic: r.traffic, watch: w, known: r.known, pause: busyPause, heard: map[string]int{}}
}

// hear counts a notification about new jobs, and gives the word that none are needed if there are many.
func (w *waker) hear(ctx context.Context, queue string) error {
	w.known.heard(queue)
	now := w.now()
	if now.Sub(w.heardFrom) > heardWindow {
		w.heardFrom = now
		clear(w.heard)
	}
	w.heard[queue]++
	if w.heard[queue] < heardMany || w.awake(now) {
		return nil
	}
	return w.stayAwake(ctx)
}

func (w *waker) awake(now time.Time) bool { return now.Before(w.awakeUntil) }

// stayAwake gives the word. It is believed to hold a little longer than the database has it: nobody sleeps too early.
func (w *waker) stayAwake(ctx context.Context) error {
	w.rounds, w.useful = 0, 0
	w.known.forget()
	if err := store.StayAwake(ctx, w.db, awakeFor); err != nil {
		return err
	}
	now := w.now()
	w.awakeUntil, w.pause, w.next = now.Add(awakeFor+busyPause), awakePause, now
	return nil
}

// look returns the queues to look into now.
func (w *waker) look(ctx context.Context) ([]string, error) {
	now := w.now()
	fetched := w.traffic.count()
	progress := fetched > w.fetchedUpto
	w.fetchedUpto = fetched
	if w.awake(now) {
		return w.round(ctx, now, progress)
	}
	if w.looked && progress {
		w.pause = busyPause
	} else {
		w.pause = min(2*w.pause, idleLook)
	}
	w.next = now.Add(w.pause)
	return w.due(ctx, now)
}

// round is a look while awake: every busy queue is fetched from, and the word is renewed as long as most rounds are of use. The word is
// about events alone: of jobs in queues that are no destination's everybody is still notified.
func (w *waker) round(ctx context.Context, now time.Time, progress bool) (queues []string, err error) {
	w.rounds++
	w.known.forget()
	if progress {
		w.useful++
	}
	w.next = now.Add(awakePause)
	all := now.Sub(w.allAt) >= idleLook // what a lost notification was about
	if all {
		w.allAt = now
	}
	for _, q := range w.queues {
		if all || w.rounds%othersEvery == 0 && strings.HasPrefix(q, QueueOf("")) || w.traffic.since(q, now.Add(-heardWindow)) {
			queues = append(queues, q)
		}
	}
	if w.awakeUntil.Sub(now) < renewAt && 2*w.useful >= w.rounds {
		err = w.stayAwake(ctx)
	}
	return queues, err
}

// due looks for available jobs, and looks again when the next one is due.
func (w *waker) due(ctx context.Context, now time.Time) (queues []string, err error) {
	var sight store.Sight
	_, err = w.watch.AskBy(func() (_ store.Moment, err error) {
		sight, err = store.LookAround(ctx, w.db, w.queues, scheduleAhead)
		return sight.Moment, err
	})
	if err != nil {
		w.known.forget()
		w.looked = false
		return nil, err
	}
	w.known.note(now, w.queues, sight)
	for _, q := range sight.Queues {
		if q.In <= 0 {
			queues = append(queues, q.Name)
			continue
		}
		if at := now.Add(q.In); at.Before(w.next) {
			w.next = at
		}
	}
	w.looked = len(queues) > 0
	return queues, nil
}

// insertNotifications are what the database would have sent.
func insertNotifications(queues []string) (all []*riverdriver.Notification) {
	for _, q := range queues {
		payload, err := json.Marshal(control{Queue: q})
		if err != nil {
			continue // a name: it can be written
		}
		all = append(all, &riverdriver.Notification{Topic: "river_insert", Payload: string(payload)})
	}
	return all
}
