package demo

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// visitor is everything that somebody in the shop is going to do, decided beforehand and by the seed
// and the visitor's number alone.
type visitor struct {
	person
	consent  consent
	isNew    bool
	optin    bool // ticks the newsletter's box at the checkout
	cart     []line
	total    int64 // in øre, shipping included
	shipping int64
	payment  string
	delivery string
	note     string

	usesCart   bool // the shop tells of the cart before the order
	brokenCart bool // that event is one that no destination can use
	undone     bool // the checkout breaks, and the shop rolls back
	repeats    bool // the shop writes an event a second time
	unpaid     bool
	cancels    bool
	ships      bool
	engraves   bool   // an event that the shop made up
	sideShow   string // what a bystander does; empty: there is none

	ref         string
	untilPaid   time.Duration
	untilLeaves time.Duration // shipped or cancelled
}

type consent struct{ marketing, analytics bool }

func (c consent) json() string {
	return object{"marketing": c.marketing, "analytics": c.analytics}.json()
}

// firstVisitor makes all numbers five digits long.
const firstVisitor = 10_000

// With every third visitor comes a bystander, who does one of these.
var sideShows = []string{"account", "newsletter", "sms", "leave"}

func newVisitor(seed uint64, n int, life time.Duration) visitor {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	chance := func(percent int) bool { return rng.IntN(100) < percent }
	v := visitor{
		person:  newPerson(rng, firstVisitor+n),
		consent: consent{marketing: chance(85), analytics: chance(92)},
		isNew:   chance(60), optin: chance(30), cart: newCart(rng), shipping: pick(rng, []int64{0, 3900, 5900}),
		payment: pick(rng, []string{"card", "mobile", "invoice"}), delivery: pick(rng, []string{"parcel_shop", "home"}),
		usesCart: chance(70), brokenCart: chance(5), undone: chance(4), repeats: chance(10),
		unpaid: chance(5), cancels: chance(6), ships: chance(75), engraves: chance(15),
		untilPaid:   scaled(rng, life, 0.05, 0.25),
		untilLeaves: scaled(rng, life, 0.2, 0.6),
	}
	if chance(20) {
		v.note = "Please leave it with the neighbours of " + v.lastName()
	}
	if n%3 == 0 {
		v.sideShow = sideShows[n/3%len(sideShows)]
	}
	v.total = total(v.cart) + v.shipping
	v.ref = fmt.Sprintf("E%06d", 100_000+n)
	return v
}

// scaled is a time between two fractions of an order's life.
func scaled(rng *rand.Rand, life time.Duration, low, high float64) time.Duration {
	return time.Duration(float64(life) * (low + (high-low)*rng.Float64()))
}

func (v visitor) cartID() string { return fmt.Sprintf("B%05d", v.number) }

// bystander is another person who comes with the visitor: has an account or a subscription made, but
// buys nothing.
func (v visitor) bystander() visitor {
	v.person.number += maxOrders
	return v
}
