package pages

import (
	"fmt"
	"html/template"
	"strings"

	"kvit/store"
)

// A chart is drawn in units of its own and stretched to its place.
const (
	chartWidth  = 240
	chartHeight = 56
	slotWidth   = chartWidth / store.ActivitySlots
)

// series is a value for each slot of the period; zero: there is none.
type series [store.ActivitySlots]float64

func (s series) most() (most float64) {
	for _, v := range s {
		most = max(most, v)
	}
	return most
}

// bars draws two series on top of each other: what went well, and above it what did not.
func bars(label string, good, bad series) template.HTML {
	var both series
	for i := range both {
		both[i] = good[i] + bad[i]
	}
	scale := scaleOf(both.most())
	return drawing(label, func(b *strings.Builder) {
		for i := range both {
			low, high := good[i]*scale, bad[i]*scale
			bar(b, "bar", i, low, 0)
			bar(b, "bar-bad", i, high, low)
		}
	})
}

// bar draws nothing for nothing, and something for anything.
func bar(b *strings.Builder, class string, slot int, height, above float64) {
	if height <= 0 {
		return
	}
	height = max(height, 1)
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%.1f" width="%d" height="%.1f"/>`, class, slot*slotWidth+1, chartHeight-1-above-height, slotWidth-2, height)
}

// line draws a series, with gaps where it has no value.
func line(label string, values series) template.HTML {
	scale := scaleOf(values.most())
	return drawing(label, func(b *strings.Builder) {
		var path strings.Builder
		move := "M"
		for i, v := range values {
			if v == 0 {
				move = "M"
				continue
			}
			at := i*slotWidth + slotWidth/2
			fmt.Fprintf(&path, "%s%d %.1f", move, at, chartHeight-1-v*scale)
			if move == "M" {
				fmt.Fprintf(&path, "l3 0") // one value alone is seen, too
			}
			move = "L"
		}
		if path.Len() > 0 {
			fmt.Fprintf(b, `<path class="line" d="%s"/>`, path.String())
		}
	})
}

func scaleOf(most float64) float64 {
	if most <= 0 {
		return 0
	}
	return (chartHeight - 4) / most
}

func drawing(label string, draw func(*strings.Builder)) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`,
		chartWidth, chartHeight, template.HTMLEscapeString(label))
	fmt.Fprintf(&b, `<path class="axis" d="M0 %d.5H%d"/>`, chartHeight-1, chartWidth)
	draw(&b)
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // numbers, and a label that is escaped
}
