// Package vendure is Vendure 3 on Postgres (https://docs.vendure.io): what of its tables is personal, and which of its
// rows are events. Seen with Vendure 3.7; the shop's own names are camel case and need quotes.
package vendure

import (
	_ "embed" // the texts below

	"kvit/shop"
)

var (
	//go:embed kvit.yaml
	config string
	//go:embed events.sql
	events string
)

// Shop is Vendure 3.
var Shop = shop.Shop{
	Name: "Vendure 3", Page: "docs/shops/vendure.md",
	Marks:   []string{"public.order", "public.order_line", "public.history_entry", "public.global_settings", "public.order_channels_channel"},
	Config:  config,
	Own:     []string{"public.order.code", "public.order.orderPlacedAt"},
	Events:  events,
	Removal: "drop schema if exists kvit_events cascade;\n",
}
