package main

import (
	"slices"

	"kvit/config"
	"kvit/erp/economic"
	"kvit/erp/files"
	"kvit/erp/fortnox"
	"kvit/erp/odata"
	"kvit/erp/sqldb"
	"kvit/erp/vismanet"
)

// erpKinds are what an ERP can be, in the order in which messages list them. Nothing else in kvit lists them.
var erpKinds = []config.Kind{
	odata.BusinessCentral,
	odata.NAV,
	odata.Uniconta,
	vismanet.Kind,
	economic.Kind,
	fortnox.Kind,
	sqldb.Kind,
	sqldb.C5,
	files.Kind,
}

// allKinds are those of destinations and of ERPs.
func allKinds() []config.Kind { return slices.Concat(kinds, erpKinds) }
