package jobs

import (
	"sync"

	"github.com/riverqueue/river/riverdriver"
)

// ended are jobs that ended in the statement that wrote their receipts, of which River does not know: it wants to note
// their end some moments later, and has nothing to do.
type ended struct {
	mu  sync.Mutex
	ids map[int64]struct{}
}

func newEnded() *ended { return &ended{ids: map[int64]struct{}{}} }

func (e *ended) add(jobID int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ids[jobID] = struct{}{}
}

// without takes the jobs that have ended out of what River wants to note, and forgets them.
func (e *ended) without(p *riverdriver.JobSetStateIfRunningManyParams) *riverdriver.JobSetStateIfRunningManyParams {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.ids) == 0 {
		return p
	}
	left := &riverdriver.JobSetStateIfRunningManyParams{Now: p.Now, Schema: p.Schema}
	for i, id := range p.ID {
		if _, known := e.ids[id]; known {
			delete(e.ids, id)
			continue
		}
		left.ID = append(left.ID, id)
		left.Attempt = append(left.Attempt, p.Attempt[i])
		left.ErrData = append(left.ErrData, p.ErrData[i])
		left.FinalizedAt = append(left.FinalizedAt, p.FinalizedAt[i])
		left.MetadataDoMerge = append(left.MetadataDoMerge, p.MetadataDoMerge[i])
		left.MetadataUpdates = append(left.MetadataUpdates, p.MetadataUpdates[i])
		left.ScheduledAt = append(left.ScheduledAt, p.ScheduledAt[i])
		left.State = append(left.State, p.State[i])
	}
	return left
}
