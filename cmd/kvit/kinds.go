package main

import "kvit/config"

// kinds are what a destination can be, in the order in which messages list them.
var kinds = config.Kinds
