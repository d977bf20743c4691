package demo

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Promise is one of those that kvit makes, and whether it was kept.
type Promise struct {
	Text     string
	Found    string   // in figures
	Problems []string // none: kept
}

// Kept tells whether nothing speaks against it.
func (p *Promise) Kept() bool { return len(p.Problems) == 0 }

func (p *Promise) problem(format string, args ...any) {
	p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
}

// shown is enough of the problems to begin with.
func (p *Promise) shown() []string {
	const enough = 5
	slices.Sort(p.Problems)
	if len(p.Problems) <= enough {
		return p.Problems
	}
	return append(slices.Clone(p.Problems[:enough]), fmt.Sprintf("and %d more", len(p.Problems)-enough))
}

// audit compares what the shop and the ERP know with what kvit and the receivers know. The daemon
// has stopped, so that nothing moves any more.
func (d *demo) audit(ctx context.Context, sum *Summary) error {
	for _, check := range []func(context.Context, *Summary) (Promise, error){
		d.auditStored, d.auditReceipts, d.auditWebhook, d.auditSpread, d.auditMarks, d.auditErasure, d.auditChain,
		d.auditTraces, d.auditLog,
	} {
		promise, err := check(ctx, sum)
		if err != nil {
			return err
		}
		sum.Promises = append(sum.Promises, promise)
	}
	return d.auditProviders(ctx, sum)
}

// auditStored wants each event stored with its transaction, or not at all.
func (d *demo) auditStored(ctx context.Context, _ *Summary) (Promise, error) {
	p := Promise{Text: "every event is stored once"}
	rows, _ := d.database.admin.Query(ctx, `select event_key from kvit.tracking_event`) // Collect reports its error
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return p, fmt.Errorf("read events: %w", err)
	}
	committed, undone := d.ledger.allEvents(), d.ledger.allUndone()
	for _, key := range keys {
		if _, ok := committed[key]; !ok {
			p.problem("%s is there, and the shop did not commit it", key)
		}
	}
	if len(keys) < len(committed) {
		p.problem("%d of the shop's events are missing", len(committed)-len(keys))
	}
	p.Found = fmt.Sprintf("%d events; %d more were rolled back", len(keys), len(undone))
	return p, nil
}

// receipt is where an event stands at a destination.
type receipt struct{ Key, Destination, State string }

// auditReceipts looks for an end of every event at every destination that wants it, the right end.
func (d *demo) auditReceipts(ctx context.Context, sum *Summary) (Promise, error) {
	p := Promise{Text: "every event has its receipts"}
	states, err := d.receipts(ctx)
	if err != nil {
		return p, err
	}
	wanted, err := d.wanted(ctx)
	if err != nil {
		return p, err
	}
	for key, event := range d.ledger.allEvents() {
		for destination, names := range wanted {
			if !wants(names, event.name) {
				continue
			}
			state := states[[2]string{key, destination}]
			switch {
			case state == "" || state == "pending" || state == "retrying":
				sum.Lost++
				p.problem("%s has no receipt of %s", key, destination)
			case !event.mayEnd(destination, state):
				p.problem("%s ended as %s at %s, not as %s", key, state, destination, event.expected(destination))
			}
		}
	}
	p.Found = fmt.Sprintf("%d receipts, %d lost", len(states), sum.Lost)
	return p, nil
}

func (d *demo) receipts(ctx context.Context) (map[[2]string]string, error) {
	rows, _ := d.database.admin.Query(ctx, `select event_key, destination, state from (`+statesQuery+`) s`) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[receipt])
	if err != nil {
		return nil, fmt.Errorf("read receipts: %w", err)
	}
	states := map[[2]string]string{}
	for _, r := range list {
		states[[2]string{r.Key, r.Destination}] = r.State
	}
	return states, nil
}

// wanted is the events that each destination wants.
func (d *demo) wanted(ctx context.Context) (map[string][]string, error) {
	names := map[string][]string{}
	var name string
	var events []string
	rows, _ := d.database.admin.Query(ctx, `select name, event_names from kvit.destination where enabled`) // ForEachRow reports its error
	_, err := pgx.ForEachRow(rows, []any{&name, &events}, func() error {
		names[name] = slices.Clone(events)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read destinations: %w", err)
	}
	return names, nil
}

func wants(names []string, name string) bool {
	return slices.Contains(names, name) || strings.HasPrefix(name, "custom:") && slices.Contains(names, "custom:*")
}

// auditWebhook wants what was delivered counted, once, and nothing else.
func (d *demo) auditWebhook(_ context.Context, sum *Summary) (Promise, error) {
	p := Promise{Text: "the webhook receiver has all"}
	counted := map[string]int{}
	for _, key := range d.receivers.webhook.Events() {
		counted[key]++
	}
	expected := 0
	for key, event := range d.ledger.allEvents() {
		should := event.expected("webhook") == "delivered"
		if should {
			expected++
		}
		if should != (counted[key] == 1) {
			p.problem("%s was counted %d times", key, counted[key])
		}
		delete(counted, key)
	}
	for key := range counted {
		p.problem("%s came from nowhere", key)
	}
	seen := d.receivers.webhook.Counts()
	if seen.Refused > 0 {
		p.problem("%d requests were not signed, or no events", seen.Refused)
	}
	p.Found = fmt.Sprintf("%d events, %d repeats, %d counted twice", expected, seen.Repeats, sum.Figures.Webhook.Twice)
	return p, nil
}

// spreadStates are SPREAD's numbers of an order's states.
var spreadStates = map[string]string{"order_placed": "10", "order_paid": "20", "order_shipped": "50", "order_cancelled": "0"}

// auditSpread compares order by order: what SPREAD has is what the shop sold to those who agreed.
func (d *demo) auditSpread(ctx context.Context, sum *Summary) (Promise, error) {
	p := Promise{Text: "SPREAD has all"}
	list, err := d.receivers.spreadOrders(ctx)
	if err != nil {
		return p, err
	}
	expected := d.ledger.allOrders()
	turnover, twice := new(big.Rat), 0
	seen := map[string]bool{}
	for _, o := range list {
		ours, ok := expected[o.Ref]
		switch {
		case seen[o.Ref]:
			twice++
			p.problem("%s is there twice", o.Ref)
		case !ok || !ours.consent.marketing:
			p.problem("%s must not be there", o.Ref)
		case o.Amount != ours.total || o.State != spreadStates[ours.state]:
			p.problem("%s has not the shop's amount or state", o.Ref)
		}
		seen[o.Ref] = true
		if amount, ok := new(big.Rat).SetString(o.Amount); ok {
			turnover.Add(turnover, amount)
		}
	}
	for ref, ours := range expected {
		if ours.consent.marketing && !seen[ref] {
			p.problem("%s is missing", ref)
		}
	}
	counts := d.receivers.spread.Counts()
	if counts.Lowered > 0 {
		p.problem("%d orders went back to an older state", counts.Lowered)
	}
	if counts.Refused > 0 {
		p.problem("%d calls were refused: %s", counts.Refused, strings.Join(d.receivers.spread.Refusals(), ", "))
	}
	sum.Figures.Spread.Twice = twice
	p.Found = fmt.Sprintf("%d orders, DKK %s, %d repeats, %d counted twice", len(list), turnover.FloatString(2), sum.Figures.Spread.Repeats, twice)
	return p, nil
}

// stand is a row of kvit.order_status.
type stand struct {
	Ref       string
	Number    *string
	DueAt     *time.Time
	Held      bool
	ErasedAt  *time.Time
	Certified bool
}

func (d *demo) stands(ctx context.Context) ([]stand, error) {
	rows, _ := d.database.admin.Query(ctx, `
		select order_ref, erp_order_number, erase_due_at, held, erased_at,
		       exists (select from kvit.erasure_certificate c where c.order_ref = s.order_ref)
		from kvit.order_status s`) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[stand])
	if err != nil {
		return nil, fmt.Errorf("read status of orders: %w", err)
	}
	return list, nil
}

// auditMarks wants each order marked with the number that the ERP told first, and no other order.
func (d *demo) auditMarks(ctx context.Context, _ *Summary) (Promise, error) {
	p := Promise{Text: "every order in the ERP is marked"}
	list, err := d.stands(ctx)
	if err != nil {
		return p, err
	}
	imported, marked := d.erp.imported(), 0
	for _, o := range list {
		number := ""
		if o.Number != nil {
			number = *o.Number
			marked++
		}
		if number != imported[o.Ref] {
			p.problem("%s has number %q, in the ERP it is %q", o.Ref, number, imported[o.Ref])
		}
	}
	p.Found = fmt.Sprintf("%d", marked)
	return p, nil
}

// auditErasure wants everything erased that was due before the cutoff, and nothing that was not due.
func (d *demo) auditErasure(ctx context.Context, sum *Summary) (Promise, error) {
	p := Promise{Text: "every due order is erased"}
	list, err := d.stands(ctx)
	if err != nil {
		return p, err
	}
	erased, held := 0, 0
	for _, o := range list {
		due := o.DueAt != nil && !o.DueAt.After(d.cutoff())
		switch {
		case o.ErasedAt != nil && (o.Held || o.DueAt == nil || o.ErasedAt.Before(*o.DueAt)):
			p.problem("%s was erased before it was due", o.Ref)
		case o.ErasedAt == nil && due && !o.Held:
			sum.Overdue++
			p.problem("%s was due and is not erased", o.Ref)
		case o.Certified != (o.ErasedAt != nil):
			p.problem("%s has a wrong certificate, or none", o.Ref)
		}
		if o.ErasedAt != nil {
			erased++
		}
		if o.Held && due {
			held++
		}
	}
	if erased == 0 {
		p.problem("no order was erased")
	}
	var left int
	err = d.database.admin.QueryRow(ctx, `
		select count(*) from kvit.event where order_ref is null and payload is not null and received_at < $1`,
		d.cutoff().Add(-d.clock.month)).Scan(&left)
	if err != nil {
		return p, fmt.Errorf("count events without an order: %w", err)
	}
	if left > 0 {
		p.problem("%d events without an order are older than a month and have their payload", left)
	}
	p.Found = fmt.Sprintf("%d; %d on legal hold is not", erased, held)
	return p, nil
}

func (d *demo) auditChain(ctx context.Context, _ *Summary) (Promise, error) {
	p := Promise{Text: "kvit verify"}
	output, err := d.kvit.do(ctx, "verify")
	if err != nil {
		p.problem("%v", err)
	}
	p.Found, _, _ = strings.Cut(output, ";")
	return p, nil
}
