package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// shop sells. It knows of kvit what a shop's developer knows: one insert into kvit.tracking_event in
// the transaction of whatever happened.
type shop struct {
	db     *pgxpool.Pool // as role shop, which is granted kvit_shop
	clock  clock
	seed   uint64
	ledger *ledger

	browsers bool // it also tells what visitors look at
}

// written is an event in a transaction under way.
type written struct {
	key, name, orderRef, payload string

	broken  bool // no destination can use it
	emptied bool // the cart has nothing in it
	state   bool // it says where the order stands
}

// sell lets visitors in until the shop closes, and returns when the last one has left. The first
// error of a transaction ends it: tracking must never break a checkout.
func (s *shop) sell(ctx context.Context, perSecond float64) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	closing := time.NewTimer(s.clock.close)
	defer closing.Stop()
	door := time.NewTicker(time.Duration(float64(time.Second) / perSecond))
	defer door.Stop()
	var visitors sync.WaitGroup
	defer visitors.Wait()
	for n := 0; ; n++ {
		visitors.Go(func() {
			if err := s.serve(ctx, newVisitor(s.seed, n, s.clock.life)); err != nil {
				stop(err)
			}
		})
		select {
		case <-door.C:
		case <-closing.C:
			visitors.Wait()
			return context.Cause(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// serve is a visit and what follows from it.
func (s *shop) serve(ctx context.Context, v visitor) error {
	if v.sideShow != "" {
		if err := s.serveBystander(ctx, v.bystander(), v.sideShow); err != nil {
			return err
		}
	}
	if s.browsers {
		if err := s.commit(ctx, v, nil, v.browsing()...); err != nil {
			return err
		}
	}
	if v.usesCart {
		if err := s.commit(ctx, v, nil, v.cartEvent(1, v.cart, v.brokenCart)); err != nil {
			return err
		}
		if err := wait(ctx, v.untilPaid/2); err != nil {
			return err
		}
	}
	if placed, err := s.place(ctx, v); err != nil || !placed {
		return err
	}
	return s.fulfil(ctx, v)
}

var errUndone = errors.New("the checkout broke")

// place writes the order and its events in one transaction. It returns false if that was rolled back.
func (s *shop) place(ctx context.Context, v visitor) (bool, error) {
	s.ledger.begin()
	events := []written{v.orderEvent("placed")}
	if v.usesCart {
		events = append(events, v.cartEvent(2, nil, false)) // the cart is empty now
	}
	if v.engraves {
		events = append(events, v.engravingEvent())
	}
	err := s.commit(ctx, v, func(tx pgx.Tx) error {
		if err := insertOrder(ctx, tx, v); err != nil {
			return err
		}
		if v.undone {
			return errors.Join(insertEvents(ctx, tx, v.consent, events), errUndone)
		}
		return nil
	}, events...)
	if v.undone && errors.Is(err, errUndone) {
		s.ledger.undo(events)
		return false, nil
	}
	return err == nil, err
}

// fulfil takes the order from its payment to its parcel, or to its end.
func (s *shop) fulfil(ctx context.Context, v visitor) error {
	if err := wait(ctx, v.untilPaid); err != nil || v.unpaid {
		return err
	}
	paid := v.orderEvent("paid")
	if err := s.commit(ctx, v, func(tx pgx.Tx) error { return insertPayment(ctx, tx, v) }, paid); err != nil {
		return err
	}
	if v.repeats { // the payment provider calls the shop twice
		if err := s.commit(ctx, v, nil, paid); err != nil {
			return err
		}
	}
	if err := wait(ctx, v.untilLeaves); err != nil {
		return err
	}
	switch {
	case v.cancels:
		return s.move(ctx, v, "cancelled")
	case v.ships:
		return s.move(ctx, v, "shipped")
	default:
		return nil
	}
}

func (s *shop) move(ctx context.Context, v visitor, status string) error {
	return s.commit(ctx, v, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update public.orders set status = $2 where order_number = $1`, v.ref, status)
		return err
	}, v.orderEvent(status))
}

// serveBystander serves somebody who buys nothing.
func (s *shop) serveBystander(ctx context.Context, v visitor, sideShow string) error {
	switch sideShow {
	case "account":
		return s.commit(ctx, v, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `insert into public.accounts (email, name) values ($1, $2)`, v.email(), v.name())
			return err
		}, v.personEvent("account_created"))
	case "newsletter":
		return s.subscribe(ctx, v, v.email(), "newsletter_optin", "newsletter_optout")
	case "sms":
		return s.subscribe(ctx, v, v.phone(), "sms_optin", "sms_optout")
	default: // a cart is left behind
		return s.commit(ctx, v, nil, v.cartEvent(1, v.cart, false))
	}
}

// subscribe takes a subscription, which one in three soon takes back.
func (s *shop) subscribe(ctx context.Context, v visitor, contact, optin, optout string) error {
	err := s.commit(ctx, v, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into public.subscribers (contact) values ($1)`, contact)
		return err
	}, v.personEvent(optin))
	if err != nil || v.number%3 != 0 {
		return err
	}
	if err := wait(ctx, v.untilPaid); err != nil {
		return err
	}
	return s.commit(ctx, v, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from public.subscribers where contact = $1`, contact)
		return err
	}, v.personEvent(optout))
}

// commit writes what happened, if anything did, and its events in one transaction.
func (s *shop) commit(ctx context.Context, v visitor, happen func(pgx.Tx) error, events ...written) error {
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if happen != nil {
			if err := happen(tx); err != nil {
				return err
			}
		}
		return insertEvents(ctx, tx, v.consent, events)
	})
	if err != nil {
		return fmt.Errorf("commit %s: %w", events[0].name, err)
	}
	s.ledger.commit(v, events)
	return nil
}

func insertEvents(ctx context.Context, tx pgx.Tx, c consent, events []written) error {
	for _, e := range events {
		_, err := tx.Exec(ctx, `
			insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
			values ($1, $2, nullif($3, ''), $4, $5)`, e.key, e.name, e.orderRef, e.payload, c.json())
		if err != nil {
			return fmt.Errorf("insert event: %w", err)
		}
	}
	return nil
}

func insertOrder(ctx context.Context, tx pgx.Tx, v visitor) error {
	var id int64
	err := tx.QueryRow(ctx, `
		insert into public.orders (order_number, status, currency, total, shipping_fee, customer_name, email, phone,
		    billing_address, shipping_address, country, delivery_type, payment_type, preferred_delivery_date, cart,
		    customer_note, ip_address)
		values ($1, 'registered', 'DKK', $2::numeric, $3::numeric, $4, $5, $6, $7, $7, 'DK', $8, $9, current_date + 3, $10,
		    nullif($11, ''), $12::inet)
		returning id`,
		v.ref, money(v.total), money(v.shipping), v.name(), v.email(), v.phone(), v.address(), v.delivery, v.payment,
		object{"customer": v.email(), "items": items(v.cart)}.json(), v.note, v.ip()).Scan(&id)
	if err != nil {
		return fmt.Errorf("insert order: %w", err)
	}
	for _, item := range v.cart {
		_, err := tx.Exec(ctx, `
			insert into public.order_lines (order_id, sku, name, quantity, unit_price, engraving)
			values ($1, $2, $3, $4, $5::numeric, $6)`,
			id, item.sku, item.name, item.quantity, money(item.price), "For "+v.name())
		if err != nil {
			return fmt.Errorf("insert order line: %w", err)
		}
	}
	return nil
}

func insertPayment(ctx context.Context, tx pgx.Tx, v visitor) error {
	_, err := tx.Exec(ctx, `
		with paid as (
		    update public.orders set status = 'paid' where order_number = $1 returning id, total
		)
		insert into public.payments (order_id, provider, transaction_id, amount, payer_name, payer_email)
		select id, 'example-pay', 'T-' || $1::text, total, $2, $3 from paid`, v.ref, v.name(), v.email())
	if err != nil {
		return fmt.Errorf("insert payment: %w", err)
	}
	return nil
}

func (v visitor) orderEvent(state string) written {
	name := "order_" + state
	return written{key: name + ":" + v.ref, name: name, orderRef: v.ref, payload: orderPayload(v, state), state: true}
}

func (v visitor) cartEvent(version int, cart []line, broken bool) written {
	return written{
		key: fmt.Sprintf("cart_updated:%s-%d", v.cartID(), version), name: "cart_updated",
		payload: cartPayload(v, cart, broken), broken: broken, emptied: len(cart) == 0,
	}
}

// browsing is what the visitor does before buying.
func (v visitor) browsing() []written {
	event := func(name string, payload object) written {
		payload["customer"], payload["client"] = customerObject(v.person, v.isNew), clientObject(v.person)
		return written{key: fmt.Sprintf("%s:V%05d", name, v.number), name: name, payload: payload.json()}
	}
	cart := object{"id": v.cartID(), "currency": "DKK", "total": money(total(v.cart)), "items": items(v.cart)}
	return []written{
		event("page_viewed", object{}),
		event("search", object{"search": object{"term": v.cart[0].category, "results": len(assortment)}}),
		event("product_viewed", object{"product": productObject(v.cart[0])}),
		event("checkout_started", object{"cart": cart}),
	}
}

func (v visitor) engravingEvent() written {
	const name = "custom:engraving_chosen"
	return written{key: name + ":" + v.ref, name: name, orderRef: v.ref, payload: orderPayload(v, "placed")}
}

// personEvent is about the person alone; its key names the person's number, not the person.
func (v visitor) personEvent(name string) written {
	return written{key: fmt.Sprintf("%s:C%05d", name, v.number), name: name, payload: personPayload(v.person, true)}
}

// wait returns early, with the cause, if ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
