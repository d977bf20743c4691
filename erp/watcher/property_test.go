package watcher_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp"
)

// Rows get their time when they are written and are seen when they are committed, up to the overlap later and in any
// order; answers fail, runs are cut short, and orders are invoiced between two polls. Whatever happens, no document is missed, and
// none is evidence of an order that it does not name.
func TestLateRowsAreNeverMissed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 14))
			s := setup(t)
			s.source.Connector = follower{s.Memory, s.Memory}
			const overlap = 15 * time.Minute
			s.source.Overlap = overlap

			// The ERP's day begins twelve hours ago, in steps of a minute; the database's clock stays where it is.
			clock := time.Now().Add(-12 * time.Hour)
			type pending struct {
				doc  erp.Document
				seen time.Time
			}
			var waiting []pending
			var refs, want []string
			for i := range 240 {
				ref, number := fmt.Sprintf("%04d", i), fmt.Sprintf("SO-%04d", i)
				refs = append(refs, ref)
				written := clock.Add(time.Duration(random.IntN(600)) * time.Minute)
				doc := erp.Document{Kind: erp.OrderDocument, Ref: "WEB-" + ref, Number: number, ChangedAt: written}
				if random.IntN(10) == 0 {
					doc.Ref += "0" // another's
				} else {
					want = append(want, ref+" order "+number)
				}
				waiting = append(waiting, pending{doc, written.Add(time.Duration(random.Int64N(int64(overlap))))})
			}
			s.orders(t, refs...)
			// The daily pass over everything was made before the day begins: from here on the watermark is alone.
			s.exec(t, `update kvit.erp_source set probed_at = now(), looked_up_at = now() where name = $1`, s.source.Name)
			s.exec(t, `insert into kvit.erp_watermark values ($1, 'documents', $2)`, s.source.Name, clock)

			for minute := range 640 {
				now := clock.Add(time.Duration(minute) * time.Minute)
				kept := waiting[:0]
				for _, p := range waiting {
					if p.seen.After(now) {
						kept = append(kept, p)
						continue
					}
					s.Put(p.doc)
				}
				waiting = kept
				if random.IntN(15) != 0 && minute < 639 {
					continue
				}
				s.pollSomehow(t, random, minute == 639)
			}
			require.Empty(t, waiting)
			require.ElementsMatch(t, want, s.evidence(t))
		})
	}
}

// pollSomehow polls, and lets the ERP fail at some page, unless it is the last time.
func (s *stage) pollSomehow(t *testing.T, random *rand.Rand, last bool) {
	t.Helper()
	s.ready(t)
	until := time.Now().Add(time.Minute)
	if !last {
		switch random.IntN(4) {
		case 0:
			s.Fail(erp.Fail(erp.Unreachable, "gone"))
		case 1:
			s.Fail(nil, erp.Fail(erp.Throttled, "slow down"))
		case 2:
			until = time.Now().Add(-time.Second) // the time of the run is up after the first page
		}
	}
	_, _ = s.watcher().Run(t.Context(), until)
	s.Fail() // what was not asked does not fail the next time
}
