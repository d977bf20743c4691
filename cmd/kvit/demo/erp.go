package demo

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// erp imports paid orders a few seconds after their payment, by turns into an ERP that kvit asks by a connector and into one that
// tells kvit by plain inserts. Now and then they say more than they should.
type erp struct {
	db    *pgxpool.Pool // as role erp, which is granted kvit_erp
	bc    *businessCentral
	delay time.Duration // from payment to import
	first chan string   // gets the first order that was imported

	mu      sync.Mutex
	numbers map[string]string // ERP order number by the shop's reference
}

func newERP(db *pgxpool.Pool, bc *businessCentral, c clock) *erp {
	return &erp{db: db, bc: bc, delay: c.life * 2 / 5, first: make(chan string, 1), numbers: map[string]string{}}
}

const erpPoll = 250 * time.Millisecond

// work imports until ctx ends.
func (e *erp) work(ctx context.Context) error {
	tick := time.NewTicker(erpPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := e.importOrders(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (e *erp) importOrders(ctx context.Context) error {
	rows, _ := e.db.Query(ctx, `
		select o.order_number
		from public.orders o
		join public.payments p on p.order_id = o.id
		where o.status in ('paid', 'shipped') and p.paid_at < now() - $1::interval and p.paid_at > now() - interval '1 minute'
		order by o.id`, e.delay) // Collect reports its error
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read paid orders: %w", err)
	}
	for _, ref := range refs {
		if e.number(ref) != "" {
			continue
		}
		if err := e.report(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// evidence is a row of kvit.erp_receipt.
type evidence struct{ ref, number, kind string }

// report gives an order its number in the ERP and tells kvit; what comes with some of the orders
// must change nothing.
func (e *erp) report(ctx context.Context, ref string) error {
	n := e.count()
	number := fmt.Sprintf("SO-%06d", 500_000+n)
	if n%2 == 0 {
		e.bc.take(n, ref, number)
	} else if err := e.tell(ctx, n, ref, number); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.numbers[ref] = number
	if n == 0 {
		e.first <- ref
	}
	return nil
}

// tell inserts evidence of the nth order.
func (e *erp) tell(ctx context.Context, n int, ref, number string) error {
	list := []evidence{{ref, number, "order"}}
	switch {
	case n%9 == 1:
		list = append([]evidence{{ref, "QU" + number[2:], "quote"}}, list...) // a quote is no import
	case n%9 == 3:
		list = append(list, evidence{ref, number, "order"}) // told twice
	case n%9 == 5:
		list = append(list, evidence{ref, number + "-X", "order"}) // another number for the same order
	case n%9 == 7:
		list = append(list, evidence{strings.Replace(ref, "E", "X", 1), number, "order"}) // an order of some other shop
	}
	return e.insert(ctx, list)
}

func (e *erp) insert(ctx context.Context, list []evidence) error {
	for _, r := range list {
		_, err := e.db.Exec(ctx, `
			insert into kvit.erp_receipt (order_ref, erp_order_number, document_kind, imported_at, source)
			values ($1, $2, $3, now(), 'demo')`, r.ref, r.number, r.kind)
		if err != nil {
			return fmt.Errorf("insert ERP receipt: %w", err)
		}
	}
	return nil
}

func (e *erp) number(ref string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.numbers[ref]
}

// imported returns the ERP's order numbers by the shop's reference.
func (e *erp) imported() map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.numbers)
}

func (e *erp) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.numbers)
}
