package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// screen shows how it goes: at a terminal a table that is drawn over itself, elsewhere a line now
// and then.
type screen struct {
	out      io.Writer
	terminal bool
	clock    clock
	drawn    int       // lines of the table that is to be drawn over
	next     time.Time // when the next line is due
}

// TableSize is the table's size in characters. In a smaller terminal it could not be drawn over itself.
func TableSize(all bool) (width, height int) {
	if all {
		return 78, 6 + len(termsOf) // a line for each destination
	}
	return 72, 16
}

const (
	drawEvery = 500 * time.Millisecond
	lineEvery = 10 * time.Second
)

func (s *screen) say(format string, args ...any) {
	fmt.Fprintf(s.out, format+"\n", args...)
}

// show draws the table or writes a line if one is due.
func (s *screen) show(f Figures, elapsed time.Duration) {
	if s.terminal {
		s.draw(append([]string{s.headline(elapsed), ""}, f.table()...))
		return
	}
	if now := time.Now(); !now.Before(s.next) {
		s.next = now.Add(min(lineEvery, s.clock.length/5))
		s.say("%s", s.line(f, elapsed))
	}
}

// draw goes up to where the last table began and clears from there: ECMA-48's CUU and ED.
func (s *screen) draw(lines []string) {
	back := ""
	if s.drawn > 0 {
		back = fmt.Sprintf("\x1b[%dA\x1b[J", s.drawn)
	}
	s.drawn = len(lines)
	s.say("%s%s", back, strings.Join(lines, "\n")) // one write, or it would flicker
}

func (s *screen) headline(elapsed time.Duration) string {
	phase := "the shop sells"
	switch {
	case elapsed >= s.clock.length:
		phase = "what is left settles"
	case elapsed >= s.clock.close:
		phase = "the shop has closed, what was sold settles"
	}
	return fmt.Sprintf("%s of %s   day %d   %s", stamp(elapsed), stamp(s.clock.length), s.clock.day(elapsed), phase)
}

func stamp(d time.Duration) string {
	seconds := int(d / time.Second)
	return fmt.Sprintf("%02d:%02d", seconds/60, seconds%60)
}

// table is narrow enough for any terminal: a line that wraps could not be drawn over.
func (f Figures) table() []string {
	lines := f.events()
	lines = append(lines, "", fmt.Sprintf("%-10s%9s%9s%9s%9s%9s%14s", "ORDERS", "placed", "in ERP", "due", "erased", "on hold", "certificates"))
	o := f.Orders
	return append(lines, fmt.Sprintf("%-10s%9d%9d%9d%9d%9d%14d", "", o.Placed, o.Marked, o.Due, o.Erased, o.Held, o.Certificates))
}

// events has a column for each destination, or a line if there are many.
func (f Figures) events() []string {
	if len(f.More) > 0 {
		return f.eventLines()
	}
	lines := []string{fmt.Sprintf("%-34s%9s%9s", "EVENTS", "spread", "webhook")}
	for _, row := range []struct {
		label string
		value func(Destination) int
	}{
		{"enqueued", func(d Destination) int { return d.Enqueued }},
		{"delivered", func(d Destination) int { return d.Delivered }},
		{"withheld: no consent", func(d Destination) int { return d.Withheld }},
		{"rejected: broken by the shop", func(d Destination) int { return d.Rejected }},
		{"superseded by a later state", func(d Destination) int { return d.Superseded }},
		{"erased before delivery", func(d Destination) int { return d.Erased }},
		{"failed", func(d Destination) int { return d.Failed }},
		{"pending", func(d Destination) int { return d.Pending }},
		{"the receiver saw a repeat", func(d Destination) int { return d.Repeats }},
		{"counted twice", func(d Destination) int { return d.Twice }},
	} {
		lines = append(lines, fmt.Sprintf("%-34s%9d%9d", row.label, row.value(f.Spread), row.value(f.Webhook)))
	}
	return lines
}

// eventLines has no column for all that were enqueued: it is the sum of the first six.
func (f Figures) eventLines() []string {
	lines := []string{fmt.Sprintf("%-13s%10s%9s%9s%8s%6s%8s%8s%6s", "EVENTS", "delivered", "withheld", "rejected", "stopped", "other", "pending", "repeats", "twice")}
	for _, d := range f.named() {
		lines = append(lines, fmt.Sprintf("%-13s%10d%9d%9d%8d%6d%8d%8d%6d",
			d.Name, d.Delivered, d.Withheld, d.Rejected, d.Stopped, d.Superseded+d.Erased+d.Failed, d.Pending, d.Repeats, d.Twice))
	}
	return lines
}

func (s *screen) line(f Figures, elapsed time.Duration) string {
	if len(f.More) > 0 {
		return fmt.Sprintf("%s of %s, day %d: %d destinations: %d delivered, %d stopped, %d pending, %d repeats; orders %d placed, %d in ERP, %d due, %d erased",
			stamp(elapsed), stamp(s.clock.length), s.clock.day(elapsed), len(f.named()),
			f.sum(func(d Destination) int { return d.Delivered }), f.sum(func(d Destination) int { return d.Stopped }),
			f.sum(func(d Destination) int { return d.Pending }), f.sum(func(d Destination) int { return d.Repeats }),
			f.Orders.Placed, f.Orders.Marked, f.Orders.Due, f.Orders.Erased)
	}
	return fmt.Sprintf("%s of %s, day %d: spread %s; webhook %s; orders %d placed, %d in ERP, %d due, %d erased",
		stamp(elapsed), stamp(s.clock.length), s.clock.day(elapsed), f.Spread.brief(), f.Webhook.brief(),
		f.Orders.Placed, f.Orders.Marked, f.Orders.Due, f.Orders.Erased)
}

func (d Destination) brief() string {
	return fmt.Sprintf("%d enqueued, %d delivered, %d repeats", d.Enqueued, d.Delivered, d.Repeats)
}

// summary is the last word.
func (s *screen) summary(sum Summary) {
	if !s.terminal {
		s.say("")
	}
	s.draw(append([]string{fmt.Sprintf("the end, after %s and %d days", spoken(s.clock.length), s.clock.day(s.clock.length)-1), ""}, sum.Figures.table()...))
	s.say("")
	for _, p := range sum.Promises {
		mark := "kept  "
		if !p.Kept() {
			mark = "BROKEN"
		}
		s.say("%s  %s: %s", mark, p.Text, p.Found)
		for _, problem := range p.shown() {
			s.say("          %s", problem)
		}
	}
	s.say("\n%d lost, %d counted twice, %d due orders not erased",
		sum.Lost, sum.Figures.sum(func(d Destination) int { return d.Twice }), sum.Overdue)
	if sum.Figures.More != nil {
		s.say("%d stopped: it is unclear whether they were counted, and their providers would count a repeat",
			sum.Figures.sum(func(d Destination) int { return d.Stopped }))
	}
}
