// Package demo shows all of kvit at once: a shop that sells, a SPREAD, a webhook receiver and an
// ERP, all invented, around the real program on a private Postgres. kvit itself runs as a child
// process with a configuration file like anybody's, so that nothing in it knows of the demo.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// Options say what Run runs. Check tells whether For and OrdersPerSecond will do.
type Options struct {
	Binary          string        // the kvit to run
	For             time.Duration // how long; two thirds of it stand for 30 days
	Seed            uint64        // of what visitors do; the same seed makes the same visitors
	OrdersPerSecond float64
	All             bool // all kinds of destinations, and events for all of them
	Out             io.Writer
	Terminal        bool // Out can draw over what it has drawn
}

// Summary is what came of it.
type Summary struct {
	Figures  Figures
	Lost     int // events without a receipt of a destination that wanted them
	Overdue  int // orders due for erasure that were not erased
	Promises []Promise
}

// Kept tells whether every promise was.
func (s *Summary) Kept() bool {
	for _, p := range s.Promises {
		if !p.Kept() {
			return false
		}
	}
	return true
}

// ErrBroken is returned when kvit has not kept a promise; what and where was printed.
var ErrBroken = errors.New("a promise was broken")

// Run runs the demo to its end and leaves nothing behind, but for kvit's log if something went
// wrong. When ctx ends it returns early, without an audit.
func Run(ctx context.Context, o Options) (Summary, error) {
	d := &demo{
		options: o, clock: newClock(o.For), ledger: newLedger(),
		screen: &screen{out: o.Out, terminal: o.Terminal, clock: newClock(o.For)},
	}
	sum, err := d.run(ctx)
	if ctx.Err() != nil {
		err = nil // Ctrl-C: whatever broke, broke because of it
		d.screen.say("\nstopped early")
	} else if err == nil && !sum.Kept() {
		err = ErrBroken
	}
	return sum, errors.Join(err, d.tearDown(err))
}

// demo is what the parts of Run share.
type demo struct {
	options   Options
	clock     clock
	screen    *screen
	database  *database
	receivers *receivers
	bc        *businessCentral
	kvit      *kvit
	daemon    *daemon // nil: not running
	ledger    *ledger
	shop      *shop
	erp       *erp
	pools     []*pgxpool.Pool
	started   time.Time // when the shop opened
}

func (d *demo) run(ctx context.Context) (Summary, error) {
	if err := d.setUp(ctx); err != nil {
		return Summary{}, err
	}
	d.welcome()
	if err := d.play(ctx); err != nil {
		return Summary{}, err
	}
	if err := d.stopDaemon(); err != nil {
		return Summary{}, err
	}
	return d.conclude(ctx)
}

// setUp starts everything but the shop.
func (d *demo) setUp(ctx context.Context) error {
	d.screen.say("starting a private Postgres ...")
	var err error
	if d.database, err = startDatabase(ctx); err != nil {
		return err
	}
	if d.receivers, err = startReceivers(ctx, d.options.All); err != nil {
		return err
	}
	if d.bc, err = startBusinessCentral(ctx); err != nil {
		return err
	}
	if err := d.configure(ctx); err != nil {
		return err
	}
	d.screen.say("kvit migrate up, kvit check, kvit run ...")
	if _, err := d.kvit.do(ctx, "migrate", "up"); err != nil {
		return err
	}
	if err := d.database.admit(ctx); err != nil {
		return err
	}
	if _, err := d.kvit.do(ctx, "check"); err != nil {
		return err
	}
	if d.daemon, err = d.kvit.run(ctx); err != nil {
		return err
	}
	return d.staff(ctx)
}

// configure writes what an operator writes.
func (d *demo) configure(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "kvit-demo-*")
	if err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	d.kvit = &kvit{binary: d.options.Binary, dir: dir}
	if d.kvit.listen, err = freeAddress(ctx); err != nil {
		return err
	}
	r := d.receivers
	hash, err := d.kvit.setPassword()
	if err != nil {
		return err
	}
	d.kvit.env = []string{
		"PAGES_PASSWORD_HASH=" + hash,
		"DATABASE_URL=" + d.database.url("kvit"),
		"SPREAD_PUBLIC_KEY=" + r.spreadKeys[0],
		"SPREAD_PRIVATE_KEY=" + r.spreadKeys[1],
		"WEBHOOK_SECRET=" + r.webhookSecret,
		"BC_CLIENT_SECRET=" + d.bc.secret,
	}
	for _, p := range r.more {
		d.kvit.env = append(d.kvit.env, p.Secret()+"="+p.secret)
	}
	return d.kvit.configure(settings{
		Month: d.clock.month, Tick: d.clock.tick, Listen: d.kvit.listen,
		SpreadURL: r.spreadHTTP.url, WebhookURL: r.webhookHTTP.url, More: r.more,
		ERPURL: d.bc.http.url, ERPCompany: companyID, ERPCompanyName: companyName,
	})
}

// staff lets shop and ERP log in.
func (d *demo) staff(ctx context.Context) error {
	shopDB, err := d.database.pool(ctx, "shop", 8)
	if err != nil {
		return err
	}
	erpDB, err := d.database.pool(ctx, "erp", 2)
	if err != nil {
		shopDB.Close()
		return err
	}
	d.pools = []*pgxpool.Pool{shopDB, erpDB}
	d.shop = &shop{db: shopDB, clock: d.clock, seed: d.options.Seed, ledger: d.ledger, browsers: d.options.All}
	d.erp = newERP(erpDB, d.bc, d.clock)
	return nil
}

func (d *demo) welcome() {
	d.screen.say(`
The shop, %s and the ERP are invented, kvit is the real program.
30 days pass in %s. The demo ends by itself after %s, and earlier with Ctrl-C.

Look at it meanwhile:
  http://%s/   user demo, or reader, who may only look; password %s
  curl -s %s | grep ^kvit
  psql '%s'
    select * from kvit.delivery_status order by event_id desc limit 20;
    select * from kvit.order_status order by placed_at;
`, d.others(), spoken(d.clock.month), spoken(d.clock.length), d.kvit.listen, d.kvit.password, d.kvit.metrics(), d.database.url(""))
}

// others are those who are sent something.
func (d *demo) others() string {
	if d.options.All {
		return "the ten providers"
	}
	return "SPREAD, the webhook receiver"
}

func spoken(d time.Duration) string {
	switch {
	case d == time.Minute:
		return "a minute"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", int(d/time.Second))
	default:
		return d.Round(time.Second).String()
	}
}

// play lets everybody do their part until the time is over and all has settled.
func (d *demo) play(ctx context.Context) error {
	ctx, over := context.WithCancel(ctx)
	defer over()
	d.started = time.Now()
	crew, ctx := errgroup.WithContext(ctx)
	crew.Go(func() error {
		defer d.receivers.calm()
		return d.shop.sell(ctx, d.options.OrdersPerSecond)
	})
	crew.Go(func() error { return d.erp.work(ctx) })
	crew.Go(func() error { return d.holdFirst(ctx) })
	crew.Go(func() error { return d.guard(ctx) })
	crew.Go(func() error {
		defer over()
		return d.watch(ctx)
	})
	return crew.Wait()
}

// holdFirst keeps the first order that the ERP imports from being erased.
func (d *demo) holdFirst(ctx context.Context) error {
	select {
	case ref := <-d.erp.first:
		_, err := d.kvit.do(ctx, "hold", "add", ref, "--reason", "a complaint is open", "--by", "demo")
		return err
	case <-ctx.Done():
		return nil
	}
}

// guard notices if kvit ends by itself.
func (d *demo) guard(ctx context.Context) error {
	select {
	case <-d.daemon.ended:
		return errors.New("kvit run ended by itself")
	case <-ctx.Done():
		return nil
	}
}

// patience is how much longer than planned a slow machine may take.
const patience = 30 * time.Second

// watch shows the figures until the time is over and nothing is open, or patience is over, too: the
// audit then tells what is open.
func (d *demo) watch(ctx context.Context) error {
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		figures, open, err := d.look(ctx)
		if err != nil {
			return err
		}
		elapsed := time.Since(d.started)
		d.screen.show(figures, elapsed)
		if elapsed >= d.clock.length && open == 0 || elapsed >= d.clock.length+patience {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// cutoff is until when orders must have been due to be erased at the end.
func (d *demo) cutoff() time.Time { return d.started.Add(d.clock.cutoff) }

// look counts everything, and what has not settled yet.
func (d *demo) look(ctx context.Context) (f Figures, open int, err error) {
	if f, err = readFigures(ctx, d.database.admin, d.receivers, d.ledger); err != nil {
		return f, 0, err
	}
	err = d.database.admin.QueryRow(ctx, `
		select (select count(*) from kvit.erp_receipt where status = 'new')
		     + (select count(*) from kvit.order_status where erase_due_at <= $1 and not held and erased_at is null)
		     + (select count(*) from kvit.event where order_ref is null and payload is not null and received_at < $2)`,
		d.cutoff(), d.cutoff().Add(-d.clock.month)).Scan(&open)
	if err != nil {
		return f, 0, fmt.Errorf("count what is open: %w", err)
	}
	unmarked, err := d.unmarked(ctx)
	if err != nil {
		return f, 0, err
	}
	return f, open + unmarked + f.sum(func(d Destination) int { return d.Pending }), nil
}

// unmarked counts orders that an ERP has and kvit has not heard of yet.
func (d *demo) unmarked(ctx context.Context) (n int, err error) {
	refs := slices.Collect(maps.Keys(d.erp.imported()))
	err = d.database.admin.QueryRow(ctx, `
		select count(*) from unnest($1::text[]) e (ref)
		where not exists (select from kvit.order_status s where s.order_ref = e.ref and s.erp_imported_at is not null)`, refs).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count orders that are not marked: %w", err)
	}
	return n, nil
}

func (d *demo) stopDaemon() error {
	if d.daemon == nil {
		return nil
	}
	daemon := d.daemon
	d.daemon = nil
	return daemon.stop()
}

// conclude audits, and prints the summary.
func (d *demo) conclude(ctx context.Context) (Summary, error) {
	var sum Summary
	var err error
	if sum.Figures, _, err = d.look(ctx); err != nil {
		return sum, err
	}
	if err := d.audit(ctx, &sum); err != nil {
		return sum, err
	}
	// What has become due since the erasure looked last would only confuse.
	sum.Figures.Orders.Due = sum.Figures.Orders.Erased + sum.Overdue
	d.screen.summary(sum)
	return sum, nil
}

// tearDown stops what still runs and removes the files. If something went wrong it leaves kvit's
// directory and says where.
func (d *demo) tearDown(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	errs := []error{d.stopDaemon()}
	for _, pool := range d.pools {
		pool.Close()
	}
	if d.bc != nil {
		errs = append(errs, d.bc.stop())
	}
	if d.receivers != nil {
		errs = append(errs, d.receivers.stop())
	}
	if d.database != nil {
		errs = append(errs, d.database.stop(ctx))
	}
	if d.kvit == nil {
		return errors.Join(errs...)
	}
	if errors.Join(append(errs, cause)...) != nil {
		d.screen.say("kvit's log: %s", d.kvit.log())
		return errors.Join(errs...)
	}
	return os.RemoveAll(d.kvit.dir)
}
