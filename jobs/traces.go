package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/riverqueue/rivercontrib/otelriver"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
)

// traced makes a trace of each job: from its fetch, which kvit does itself, over River's span of the work, to what the
// rooms below add. nil: nobody looks.
type traced struct {
	river.MiddlewareDefaults
	tracer trace.Tracer

	mu      sync.Mutex
	fetches map[int64]fetchTimes // by job, until it is worked
}

type fetchTimes struct{ begun, done time.Time }

func newTraced(provider trace.TracerProvider) *traced {
	if provider == nil {
		return nil
	}
	return &traced{tracer: provider.Tracer("kvit/jobs"), fetches: map[int64]fetchTimes{}}
}

// middlewares are those of River's client: the outer one first.
func (t *traced) middlewares(provider trace.TracerProvider) []rivertype.Middleware {
	if t == nil {
		return nil
	}
	return []rivertype.Middleware{t, otelriver.NewMiddleware(&otelriver.MiddlewareConfig{
		TracerProvider: provider, MeterProvider: noop.NewMeterProvider(), EnableWorkSpanJobKindSuffix: true,
	})}
}

// fetched notes when the fetch of these jobs began; it ends now.
func (t *traced) fetched(list []*rivertype.JobRow, begun time.Time) {
	if t == nil {
		return
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, job := range list {
		t.fetches[job.ID] = fetchTimes{begun, now}
	}
}

// take returns the times of a job's fetch once.
func (t *traced) take(jobID int64) (fetchTimes, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	times, ok := t.fetches[jobID]
	delete(t.fetches, jobID)
	return times, ok
}

// Work begins the trace where the fetch began. Jobs of other kinds are fetched by River, and their traces begin with the work.
func (t *traced) Work(ctx context.Context, job *rivertype.JobRow, doInner func(context.Context) error) error {
	times, ok := t.take(job.ID)
	if !ok {
		return doInner(ctx)
	}
	ctx, whole := t.tracer.Start(ctx, "kvit.job", trace.WithNewRoot(), trace.WithTimestamp(times.begun))
	defer whole.End()
	_, fetch := t.tracer.Start(ctx, "kvit.fetch", trace.WithTimestamp(times.begun))
	fetch.End(trace.WithTimestamp(times.done))
	return doInner(ctx)
}
