package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/robfig/cron/v3"
)

// Retention says when personal data goes and how (key "retention").
type Retention struct {
	Schedule                string        // five cron fields or a descriptor as @every 5m; default "30 3 * * *"
	TimeZone                string        // of the schedule; default UTC
	EraseAfterImport        time.Duration // from marking an order as imported to its erasure; default 30d
	EraseNeverImportedAfter time.Duration // from placing an order without ERP evidence to its erasure; default 0: never
	AlarmUnimportedAfter    time.Duration // an order expected in the ERP for longer raises an alarm; default 4h, 0: none
	Clocks                  []Clock       // further reasons to erase, in the order of the file
	Tables                  []TableRule   // clocks over other tables, in the order of the file
	EventsAfter             time.Duration // an event without an order loses its payload; default 30d
	ReceiptsAfter           time.Duration // receipts of deliveries are kept that long; default 400d
	Brake                   Brake         // what one run may erase without being told
	Residue                 Residue       // what a run looks for after it has erased
	BatchTime               time.Duration // what one transaction of the erasure shall take; default 200ms, 10ms to 10s
	BatchOrders             int           // orders erased in one transaction at most; default 1000, 1 to 5000
	MaxReplicaLag           time.Duration // the erasure pauses while a replica is further behind; default 10s, 0: not looked at
	Anchor                  string        // absolute path of a file that remembers the last certificate; default none
	HashKey                 Secret        // for columns that become a hash; 32 characters at least
	Policy                  []TablePolicy // empty: no table of the shop is erased
}

// Clock makes orders due for a reason of the shop's own, whether the ERP has them or not (one key under
// "retention.clocks").
type Clock struct {
	Line       int
	Name       string        // lower case, at most 40 characters; certificates hold it
	When       string        // SQL predicate over the orders table: which orders it counts for
	Since      string        // column of the orders table, a time; default Orders.PlacedAt
	EraseAfter time.Duration // from Since to the erasure
}

// Brake stops a run before its first row if more orders or events are due than one night explains (key
// "retention.brake"). Each of its limits is enough.
type Brake struct {
	MaxOrders int     // due orders; default 10000, 0: not looked at
	MaxShare  float64 // due orders by all orders, 0 to 1; default 0.2, 0: not looked at

	MaxEventShare float64 // due payloads by all payloads, or events by all events, 0 to 1; default 0.5, 0: not looked at
}

// Residue says how a run looks for copies of what it has erased (key "retention.residue").
type Residue struct {
	Orders int           // of a run, whose values it looks for; default 3, 0 to 100: 0 looks for none
	Time   time.Duration // for the search; default 60s, 1s to 90s
}

func readRetention(top *Section, shop *Shop) Retention {
	const day = 24 * time.Hour
	s := top.Section("retention")
	defer s.Finish()
	r := Retention{
		Schedule:                s.Text("schedule", "30 3 * * *", cronSchedule),
		TimeZone:                s.Text("time_zone", "UTC", TimeZone),
		EraseAfterImport:        s.Duration("erase_after_import", 30*day, time.Second, aCentury),
		EraseNeverImportedAfter: s.durationOrOff("erase_never_imported_after", 0, time.Second, aCentury),
		AlarmUnimportedAfter:    s.durationOrOff("alarm_unimported_after", 4*time.Hour, time.Second, aCentury),
		Clocks:                  readClocks(s, shop),
		EventsAfter:             s.Duration("events_after", 30*day, time.Second, aCentury),
		ReceiptsAfter:           s.Duration("receipts_after", 400*day, time.Second, aCentury),
		Brake:                   readBrake(s.Section("brake")),
		Residue:                 readResidue(s.Section("residue")),
		BatchTime:               s.Duration("batch_time", 200*time.Millisecond, 10*time.Millisecond, 10*time.Second),
		BatchOrders:             s.Integer("batch_orders", 1000, 1, 5000),
		MaxReplicaLag:           s.durationOrOff("max_replica_lag", 10*time.Second, 100*time.Millisecond, day),
		Anchor:                  s.Text("anchor", "", absolutePath),
		HashKey:                 s.Secret("hash_key", hashKey),
		Policy:                  readPolicy(s, shop),
	}
	r.Tables = readTableRules(s, shop, r.Policy)
	s.checkHashKey(r)
	s.checkNeverImported(r)
	return r
}

func (s *Section) checkHashKey(r Retention) {
	var columns []ColumnPolicy
	for _, t := range r.Policy {
		columns = append(columns, t.Columns...)
	}
	for _, t := range r.Tables {
		columns = append(columns, t.Columns...)
	}
	if slices.ContainsFunc(columns, ColumnPolicy.Hashes) && !s.Has("hash_key") {
		s.Problem("hash_key", "is missing, and the policy has a column that becomes a hash")
	}
}

// checkNeverImported keeps an order that the ERP lacks from going before anybody is told that it lacks it.
func (s *Section) checkNeverImported(r Retention) {
	const erase, alarm = "erase_never_imported_after", "alarm_unimported_after"
	if r.EraseNeverImportedAfter == 0 || r.EraseNeverImportedAfter >= r.AlarmUnimportedAfter || s.reader.faulty(s.path(alarm)) {
		return
	}
	s.Problem(erase, "must not be shorter than "+s.path(alarm)+", which tells of orders that the ERP lacks")
}

func readBrake(s *Section) Brake {
	defer s.Finish()
	return Brake{
		MaxOrders: s.Integer("max_orders", 10_000, 0, 1_000_000_000),
		MaxShare:  s.share("max_share", 0.2),

		MaxEventShare: s.share("max_event_share", 0.5),
	}
}

// readResidue keeps the search shorter than what a run's job has left after its erasing.
func readResidue(s *Section) Residue {
	defer s.Finish()
	return Residue{
		Orders: s.Integer("orders", 3, 0, 100),
		Time:   s.Duration("time", time.Minute, time.Second, 90*time.Second),
	}
}

// hashKey keeps the key from being guessed by trying: whoever has it can find the values by trying, too.
func hashKey(text string) string {
	const least = 32
	if utf8.RuneCountInString(text) < least {
		return fmt.Sprintf("is shorter than %d characters", least)
	}
	return ""
}

func cronSchedule(text string) string {
	// The library also takes a zone here, and panics on one without a schedule behind it.
	if strings.Contains(text, "TZ=") {
		return "must not contain a time zone: write it as retention.time_zone"
	}
	schedule, err := cron.ParseStandard(text)
	if err != nil {
		return "is not a cron schedule of five fields, nor a descriptor as @daily or @every 1h"
	}
	// Next gives up after five years. Any start will do; 2024 has a 29 February.
	if schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return "names a date that never comes"
	}
	return ""
}
