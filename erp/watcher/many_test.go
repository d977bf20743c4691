package watcher_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp"
)

// everyHundredth has one of a hundred orders that it is asked for.
type everyHundredth struct {
	erp.Connector
	lookups int
	most    uint64 // bytes of live memory that were seen
}

func (e *everyHundredth) Lookup(_ context.Context, refs []string, found func([]erp.Document) error) error {
	if e.lookups++; e.lookups%500 == 0 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		e.most = max(e.most, stats.HeapAlloc)
	}
	var docs []erp.Document
	for _, ref := range refs {
		if ref[len(ref)-2:] == "00" {
			docs = append(docs, order(ref, "SO-"+ref))
		}
	}
	return found(docs)
}

// A hundred thousand orders wait: all are asked for, in batches, and few are in memory at a time. A run that is cut short goes on
// where it stopped.
func TestManyOpenOrders(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const orders = 100_000
	s.exec(t, `insert into orders (number) select lpad(i::text, 20, '0') from generate_series(1, $1) i`, orders)
	erps := &everyHundredth{Connector: s.Memory}
	s.source.Connector = finder{s.Memory, erps}
	_, err := s.watcher().Run(t.Context(), time.Now().Add(300*time.Millisecond))
	require.NoError(t, err)
	cut := erps.lookups
	require.Less(t, cut, orders/40)
	_, err = s.watcher().Run(t.Context(), time.Now().Add(2*time.Minute))
	require.NoError(t, err)
	require.Equal(t, orders/40, erps.lookups, "none is asked for twice")
	require.Len(t, s.evidence(t), orders/100)
	require.Less(t, erps.most, uint64(200<<20), fmt.Sprintf("after %d lookups", erps.lookups))
	require.NotNil(t, s.status(t).LookedUpAt)
}
