package erasure

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/store"
)

// batchSize is how many orders the next transaction erases, so that each takes about the same time,
// whatever an order's rows cost.
type batchSize struct {
	orders int
	most   int
	aim    time.Duration // 0: always most
	gentle bool          // the shop is at work: shorter batches, with rests in between
	last   time.Duration // that a batch took, until nothing was locked any more
	held   time.Time     // since when the batch under way has locked rows
}

// gentlePart is how much shorter batches are while the shop is at work. Measured with 200 transactions a
// second on two cores: batches of 200 ms, one after the other, double the shop's 99th percentile. Rests
// alone change little, and so do shorter batches alone.
const (
	gentlePart = 5
	gentleRest = 2 // times what the batch took
)

// firstBatch is small, since nothing is known yet.
const firstBatch = 20

func newBatchSize(most int, aim time.Duration) batchSize {
	most = max(most, 1)
	if aim == 0 {
		return batchSize{orders: most, most: most}
	}
	return batchSize{orders: min(firstBatch, most), most: most, aim: aim}
}

// begins notes that the batch under way is about to lock rows. What comes before, such as the check of the policy, costs
// the same for one order as for a thousand: smaller batches would only have it more often.
func (b *batchSize) begins() { b.held = time.Now() }

// ended is took for the batch under way, which began at started.
func (b *batchSize) ended(orders int, started time.Time) {
	since := b.held
	if since.Before(started) {
		since = started // it came to lock nothing
	}
	b.took(orders, time.Since(since))
	b.last = time.Since(started)
}

// took adapts the size to how long a batch of so many orders took, by half or the double at most: one
// slow moment says little.
func (b *batchSize) took(orders int, elapsed time.Duration) {
	b.last = elapsed
	if b.aim == 0 || orders == 0 {
		return
	}
	aim := b.aim
	if b.gentle {
		aim /= gentlePart
	}
	fits := int(float64(orders) * float64(aim) / float64(max(elapsed, time.Millisecond)))
	b.orders = min(max(fits, b.orders/2, 1), 2*b.orders, b.most)
}

// halve makes room for somebody who waits.
func (b *batchSize) halve() { b.orders = max(b.orders/2, 1) }

const (
	waiterRest = time.Second // after a batch on which others waited
	replicaAsk = time.Second // between looks at replicas that are behind
)

// lookout is the connection that keeps the run the only one, and looks around for it meanwhile.
type lookout struct {
	tx  pgx.Tx // nil in a dry run
	lag time.Duration

	waited bool      // others waited for the last batch
	asked  time.Time // for the lag
	traffic
}

// traffic tells whether others are at work in the database, by the number of transactions that the server
// counts. A session tells the server of its own once a second at most, hence the length of a look.
type traffic struct {
	count int64
	at    time.Time
	own   int64 // of count, since at
	busy  bool
}

const (
	trafficLook = 2 * time.Second
	busyFrom    = 30 // transactions a second; kvit run makes some itself
)

// seen compares the count with the last one. As long as there is none, others may be at work.
func (t *traffic) seen(count int64, at time.Time) {
	others := float64(count-t.count-t.own) / at.Sub(t.at).Seconds()
	t.busy = t.at.IsZero() || others >= busyFrom
	t.count, t.at, t.own = count, at, 0
}

// watch looks whether the shop is at work, now and then.
func (r *eraseRun) watch(ctx context.Context) error {
	w := &r.lookout
	if w.tx == nil || r.size.aim == 0 {
		return nil
	}
	w.own++ // the batch before
	if now := time.Now(); now.Sub(w.at) >= trafficLook {
		count, err := store.Transactions(ctx, w.tx)
		if err != nil {
			return err
		}
		w.seen(count, now)
	}
	r.size.gentle = w.busy
	return nil
}

// waiters asks, while a batch still holds its locks, whether anybody waits for them.
func (w *lookout) waiters(ctx context.Context, batch pgx.Tx) error {
	w.waited = false
	pid, err := store.BackendPID(ctx, batch)
	if err != nil {
		return err
	}
	n, err := store.WaitersOn(ctx, w.tx, pid)
	w.waited = n > 0
	return err
}

// calm waits until the replicas have caught up, after a batch on which others waited, and after each batch
// while the shop is at work.
func (r *eraseRun) calm(ctx context.Context) error {
	if err := r.watch(ctx); err != nil {
		return err
	}
	if r.size.gentle {
		if err := rest(ctx, gentleRest*r.size.last); err != nil {
			return err
		}
	}
	if r.lookout.waited {
		r.size.halve()
		r.lookout.waited = false
		if err := rest(ctx, waiterRest); err != nil {
			return err
		}
	}
	return r.replicas(ctx)
}

// replicas waits until they have caught up.
func (r *eraseRun) replicas(ctx context.Context) error {
	w := &r.lookout
	if w.lag == 0 || w.tx == nil || time.Since(w.asked) < min(replicaAsk, w.lag/4) { // a lag grows no faster than time
		return nil
	}
	for told := false; !r.late(); told = true {
		lag, known, err := store.ReplicaLag(ctx, w.tx)
		w.asked = time.Now()
		if err != nil || !known || lag <= w.lag {
			return err
		}
		if !told {
			r.Logger.Warn("erasure waits for a replica", "lag", lag.String(), "max_replica_lag", w.lag.String())
		}
		if err := rest(ctx, replicaAsk); err != nil {
			return err
		}
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
