// Package medusa is Medusa 2 on Postgres (https://docs.medusajs.com): what of its tables is personal, and which of its
// rows are events. Seen with Medusa 2.21. Its modules have no foreign keys between them, so that the policy follows the
// link tables by their columns.
package medusa

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

// Shop is Medusa 2.
var Shop = shop.Shop{
	Name: "Medusa 2", Page: "docs/shops/medusa.md",
	Marks: []string{
		"public.order", "public.order_summary", "public.order_change_action", "public.payment_collection",
		"public.workflow_execution", "public.provider_identity", "public.link_module_migrations",
	},
	Config:  config,
	Own:     []string{"public.order.id", "public.order.created_at"},
	Events:  events,
	Removal: "drop schema if exists kvit_events cascade;\n",
}
