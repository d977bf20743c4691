// Package config reads kvit.yaml: strictly, with every mistake reported at once by line and key, and
// with secrets that come from the environment or from files and never print. It is a leaf: it imports
// none of kvit's other packages. kvit.example.yaml is the manual of every key.
package config

import (
	"log/slog"
	"time"
)

// None is the word that switches off a text setting that has a default: Destination.Consent keeps it,
// the others store an empty string for it.
const None = "none"

// ListenOff is the value of Ops.Listen that means: no HTTP listener.
const ListenOff = "off"

// Config is a whole, valid kvit.yaml. Every default is filled in.
type Config struct {
	Database     Database
	Log          Log
	Ops          Ops
	Shop         *Shop  // nil: kvit delivers events and touches no table of the shop
	ShopCountry  string // ISO 3166-1 alpha-2: where national phone numbers belong whose customer has no country; empty: not known
	Delivery     Delivery
	Consent      *Consent      // how the events' consent becomes purposes; nil: it is an object of purposes
	Destinations []Destination // sorted by name
	ERPs         []ERP         // sorted by name
	Channels     []Channel     // by which somebody is told of alarms; sorted by name
	Retention    Retention
}

// Database says how to reach Postgres (key "database").
type Database struct {
	URL            Secret // postgres:// URL or key=value string; $DATABASE_URL goes before the file
	MaxConnections int    // of one process's pool; default 20, 4 to 500
	Notify         bool   // default true; false leaves pickup to polling (PgBouncer in transaction mode)

	ReadURL    Secret        // of a streaming replica, for what is only shown; not set: there is none
	ReadMaxLag time.Duration // a replica that is further behind is not read; default 10s, 1s to 5m
}

// Log says what is logged and how (key "log").
type Log struct {
	Level  slog.Level // default info
	Format string     // auto (text at a terminal, JSON elsewhere), text or json; default auto
}

// Shop names the tables of the shop (key "shop").
type Shop struct {
	Orders Orders
}

// Orders names the shop's table of orders and those columns that kvit reads and writes. All column names
// differ. Names keep their case and are plain identifiers, so quoting them is always safe.
type Orders struct {
	Table          string // schema.table; the schema is public if the file gives none
	Ref            string // the permanent order reference
	PlacedAt       string // timestamptz: when the order was placed
	ImportedAt     string // timestamptz, written by kvit once: the order is in the ERP; empty, as the next two: kvit keeps these marks itself
	ERPNumber      string // text, written by kvit once: its number there
	ErasedAt       string // timestamptz, written by kvit: its personal data is gone
	Email          string // its customer's e-mail address, for requests of a person and tables matched by it; empty: there is none
	CustomerID     string // its customer's id, likewise; empty: there is none
	Total          string // numeric: what it costs, tax included; empty: not named. For erp.<name>.check_total
	AwaitingImport string // SQL predicate over the table: the order is expected in the ERP; default "true"
	TimeZone       string // of columns that hold times without one; empty: there must be none

	Lines    *OrderLines    // where its lines are; nil: not named. For erp.<name>.check_lines
	Customer *OrderCustomer // where e-mail address and customer's id stand in another table; nil: they do not
}

// Delivery holds the limits of one delivery attempt (key "delivery").
type Delivery struct {
	Timeout  time.Duration // of a whole attempt: load, send, settle; default 30s, 5s to 5m
	KeepJobs time.Duration // how long the jobs of deliveries that have ended stay in kvit.river_job; default 0: they go with the receipt
}

// Destination is one receiver of events (one key under "destinations"). Defaults that depend on the
// kind are in docs/destinations.
type Destination struct {
	Name    string // lower case, at most 40 characters; part of the queue's name
	Kind    string
	Enabled bool   // default true; false: the database makes no jobs for it
	Consent string // purpose the visitor must have accepted, or None; default marketing, or analytics

	// Events are those that it gets: EventNames, custom:<name>, custom:*; nil: all that the kind supports.
	Events []string
	// EventNames change what the provider calls an event; an empty name: it does not get that event.
	EventNames map[string]string

	Concurrency int           // requests in flight at once; 1 to 1000
	Timeout     time.Duration // of one request, below Delivery.Timeout; default 15s, or half of that if it is not above 15s
	Rate        float64       // requests a second of one process; 0: no limit
	RetryFor    time.Duration // from an event's first attempt; after that long the outcome is failed; default 72h
	BatchEvents int           // events a request; 0: as many as the provider takes

	MaxAge          *time.Duration // older events end as expired; 0: no limit; nil: the provider's
	RepeatsKnownFor *time.Duration // how long the provider recognises a repeat; 0: no end; nil: the provider's
	RetryUnclear    bool           // on_ambiguous: retry, also where the provider would count a repeat again

	Docs     string // address of the provider's own documentation; empty: there is none
	Line     int    // where the file names it
	Settings any    // what Kind.Read made of the keys that are the kind's own
}
