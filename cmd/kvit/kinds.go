package main

import (
	"slices"

	"kvit/config"
	"kvit/destination/ga4"
)

// kinds are what a destination can be, in the order in which messages list them.
var kinds = slices.Concat(config.Kinds[:1], []config.Kind{ga4.Kind}, config.Kinds[1:])
