package demo

import (
	"errors"
	"fmt"
	"time"
)

// Shortest is the shortest demo: in less, what was sold cannot both be delivered after a failure and
// be erased a month later.
const Shortest = 20 * time.Second

// Longest keeps people's numbers within five digits at sensible rates.
const Longest = time.Hour

// maxOrders is how many buyers can have a number of five digits, since bystanders have one, too.
const maxOrders = 44_000

// clock says when things happen, counted from the first visitor.
type clock struct {
	length time.Duration // of the whole demo
	month  time.Duration // what stands for 30 days
	tick   time.Duration // from one erasure to the next
	life   time.Duration // at most from an order's first to its last event
	close  time.Duration // when the shop lets nobody in any more
	cutoff time.Duration // orders due by then must be erased when the demo ends
}

// retryRoom is for what fails shortly before the shop closes: kvit tries again after about 5 s, an
// event that waits for another one a little later.
const retryRoom = 14 * time.Second

// newClock scales everything with the length, so that orders marked in the first third or so are
// due before the end. kvit's own waits do not scale.
func newClock(length time.Duration) clock {
	c := clock{length: length}
	c.month = (length * 2 / 3).Round(time.Second)
	c.tick = max(time.Second, (c.month / 12).Round(time.Second))
	c.life = min(6*time.Second, length/10)
	c.close = length - c.life - retryRoom
	c.cutoff = length - c.tick - 2*time.Second
	return c
}

// day is the day of the demo's calendar, from 1.
func (c clock) day(elapsed time.Duration) int { return int(30*elapsed/c.month) + 1 }

// Check tells what is wrong with the length and the rate of a demo.
func Check(length time.Duration, ordersPerSecond float64) error {
	switch {
	case length < Shortest || length > Longest:
		return fmt.Errorf("--for must be between %s and %s", Shortest, Longest)
	case !(ordersPerSecond > 0 && ordersPerSecond <= 200):
		return errors.New("--orders-per-second must be more than 0 and at most 200")
	case ordersPerSecond*length.Seconds() > maxOrders:
		return fmt.Errorf("--orders-per-second times --for must be at most %d orders", maxOrders)
	}
	return nil
}
