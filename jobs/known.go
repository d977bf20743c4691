package jobs

import (
	"sync"
	"time"

	"kvit/store"
)

// known is what the waker's last look has shown, for River's services, which would ask the same again, each by itself and by a
// clock of its own: while nothing happens that was half of what kvit asked. It holds for a moment longer than until the
// next look, so that without a waker everybody asks for himself, as River does.
type known struct {
	now func() time.Time

	mu       sync.Mutex
	at       time.Time       // of the look; zero: nothing is known
	empty    map[string]bool // queues without an available job, now or later
	schedule bool            // there is something to schedule until scheduleAhead later
	fetched  map[string]time.Time
}

const (
	knownFor = idleLook + time.Second
	// scheduleAhead is longer than what is known holds, so that nothing becomes due meanwhile.
	scheduleAhead = 2 * idleLook
	// fetchAnyway is how long nobody fetches from a queue that is known to be empty.
	fetchAnyway = 15 * time.Minute
)

func newKnown() *known {
	return &known{now: time.Now, empty: map[string]bool{}, fetched: map[string]time.Time{}}
}

// note takes what a look at these queues has shown.
func (k *known) note(at time.Time, queues []string, sight store.Sight) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at, k.schedule = at, sight.Schedule
	for _, q := range queues {
		k.empty[q] = true
	}
	for _, q := range sight.Queues {
		delete(k.empty, q.Name)
	}
}

// heard notes that a queue may have a job since.
func (k *known) heard(queue string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.empty, queue)
}

// forget leaves everybody to ask for himself.
func (k *known) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = time.Time{}
}

// nothingIn tells whether a fetch from the queue would bring nothing.
func (k *known) nothingIn(queue string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if now.Sub(k.at) < knownFor && k.empty[queue] && now.Sub(k.fetched[queue]) < fetchAnyway {
		return true
	}
	k.fetched[queue] = now
	return false
}

// nothingToSchedule tells whether no job becomes due before the next look.
func (k *known) nothingToSchedule() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now().Sub(k.at) < knownFor && !k.schedule
}
