package jobs

import (
	"sync"

	"github.com/riverqueue/river/riverdriver"
)

// gone are jobs whose rows went with their receipts, and of which River does not know yet: it wants to note their end,
// some moments later, and finds nothing to do.
type gone struct {
	mu  sync.Mutex
	ids map[int64]struct{}
}

func newGone() *gone { return &gone{ids: map[int64]struct{}{}} }

func (g *gone) add(jobID int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ids[jobID] = struct{}{}
}

// without takes the jobs that are gone out of what River wants to note, and forgets them.
func (g *gone) without(p *riverdriver.JobSetStateIfRunningManyParams) *riverdriver.JobSetStateIfRunningManyParams {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.ids) == 0 {
		return p
	}
	left := &riverdriver.JobSetStateIfRunningManyParams{Now: p.Now, Schema: p.Schema}
	for i, id := range p.ID {
		if _, known := g.ids[id]; known {
			delete(g.ids, id)
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
