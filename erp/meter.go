package erp

import "sync"

// Meter counts the requests of a run, and ends them when they are as many as it may make. Safe for concurrent use; a nil
// Meter counts nothing.
type Meter struct {
	mu   sync.Mutex
	used int
	most int
}

// Unlimited is for Begin.
const Unlimited = -1

// Begin starts a run of at most so many requests.
func (m *Meter) Begin(most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used, m.most = 0, most
}

// Take counts a request that is about to be made, or refuses it with an Error of the kind Spent.
func (m *Meter) Take() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.most != Unlimited && m.used >= m.most {
		return Fail(Spent, "the calls that one poll may make are used up")
	}
	m.used++
	return nil
}

// Used is how many requests the run has made.
func (m *Meter) Used() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}
