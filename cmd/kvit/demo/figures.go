package demo

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Destination is what became of the events for one destination.
type Destination struct {
	Enqueued   int // all that follow, down to Pending
	Delivered  int
	Withheld   int // the visitor did not agree
	Rejected   int // no destination could use them
	Superseded int // a later state was delivered before
	Erased     int // their data was due before they could be delivered
	Stopped    int // unclear whether it was counted, and a repeat would be: not sent again
	Failed     int // also expired
	Pending    int
	Repeats    int // the receiver saw again what it had counted
	Twice      int // the receiver counted twice
}

// Orders is where the shop's orders stand.
type Orders struct {
	Placed       int
	Marked       int // in the ERP
	Due          int // a month has passed since; held ones not counted
	Held         int // on legal hold
	Erased       int
	Certificates int
}

// Figures are what the demo shows while it runs and at its end.
type Figures struct {
	Spread  Destination
	Webhook Destination
	More    []Named // in the whole demo
	Orders  Orders
}

// Named is one of the destinations that only the whole demo has.
type Named struct {
	Name string
	Destination
}

// named are all destinations.
func (f *Figures) named() []Named {
	return append([]Named{{"spread", f.Spread}, {"webhook", f.Webhook}}, f.More...)
}

// sum adds something up over all destinations.
func (f *Figures) sum(value func(Destination) int) (sum int) {
	for _, d := range f.named() {
		sum += value(d.Destination)
	}
	return sum
}

// readFigures counts in kvit's own tables, and at the receivers.
func readFigures(ctx context.Context, db *pgxpool.Pool, r *receivers, l *ledger) (Figures, error) {
	var f Figures
	counts, err := readStates(ctx, db)
	if err != nil {
		return f, err
	}
	f.Spread, f.Webhook = destinationOf(counts["spread"]), destinationOf(counts["webhook"])
	if f.Orders, err = readOrders(ctx, db); err != nil {
		return f, err
	}
	f.Spread.Repeats = r.spreadHTTP.trouble.heardAgain() // SPREAD itself counts those of orders alone
	f.Spread.Twice = max(0, r.spread.Counts().Orders-l.ordersBegun())
	f.Webhook.Repeats, f.Webhook.Twice = r.webhook.Counts().Repeats, r.webhookTwice()
	for _, p := range r.more {
		one := Named{p.Kind, destinationOf(counts[p.Kind])}
		one.Repeats = p.repeats()
		f.More = append(f.More, one)
	}
	return f, nil
}

// stopped is the state of what was not sent again, since nobody knows whether it was counted.
const stopped = "stopped"

// statesQuery is where each delivery stands.
const statesQuery = `
	select s.event_key, s.destination, case when s.state = 'failed' and d.unclear then '` + stopped + `' else s.state end as state
	from kvit.delivery_status s
	left join kvit.delivery d on d.event_id = s.event_id and d.destination = s.destination`

// readStates counts deliveries by destination and state.
func readStates(ctx context.Context, db *pgxpool.Pool) (map[string]map[string]int, error) {
	counts := map[string]map[string]int{}
	var destination, state string
	var n int
	rows, _ := db.Query(ctx, `select destination, state, count(*) from (`+statesQuery+`) s group by 1, 2`) // ForEachRow reports its error
	_, err := pgx.ForEachRow(rows, []any{&destination, &state, &n}, func() error {
		if counts[destination] == nil {
			counts[destination] = map[string]int{}
		}
		counts[destination][state] = n
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	return counts, nil
}

func destinationOf(states map[string]int) Destination {
	d := Destination{
		Delivered: states["delivered"], Withheld: states["withheld"], Rejected: states["rejected"],
		Superseded: states["superseded"], Erased: states["erased"], Stopped: states[stopped], Failed: states["failed"] + states["expired"],
		Pending: states["pending"] + states["retrying"],
	}
	d.Enqueued = d.Delivered + d.Withheld + d.Rejected + d.Superseded + d.Erased + d.Stopped + d.Failed + d.Pending
	return d
}

func readOrders(ctx context.Context, db *pgxpool.Pool) (Orders, error) {
	rows, _ := db.Query(ctx, `
		select count(*) as placed, count(erp_imported_at) as marked,
		       count(*) filter (where erase_due_at <= now() and not held) as due,
		       count(*) filter (where held) as held, count(erased_at) as erased,
		       (select count(*) from kvit.erasure_certificate) as certificates
		from kvit.order_status`) // Collect reports its error
	orders, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Orders])
	if err != nil {
		return Orders{}, fmt.Errorf("count orders: %w", err)
	}
	return orders, nil
}
