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
	Schedule         string        // five cron fields or a descriptor as @every 5m; default "30 3 * * *"
	TimeZone         string        // of the schedule; default UTC
	EraseAfterImport time.Duration // from marking an order as imported to its erasure; default 30d
	EventsAfter      time.Duration // an event without an order loses its payload; default 30d
	ReceiptsAfter    time.Duration // receipts of deliveries are kept that long; default 400d
	BatchOrders      int           // orders erased in one transaction; default 200, 1 to 5000
	HashKey          Secret        // for columns that become a hash; 32 characters at least
	Policy           []TablePolicy // empty: no table of the shop is erased
}

func readRetention(top *section, shop *Shop) Retention {
	const day = 24 * time.Hour
	s := top.section("retention")
	defer s.finish()
	r := Retention{
		Schedule:         s.text("schedule", "30 3 * * *", cronSchedule),
		TimeZone:         s.text("time_zone", "UTC", timeZone),
		EraseAfterImport: s.duration("erase_after_import", 30*day, time.Second, aCentury),
		EventsAfter:      s.duration("events_after", 30*day, time.Second, aCentury),
		ReceiptsAfter:    s.duration("receipts_after", 400*day, time.Second, aCentury),
		BatchOrders:      s.integer("batch_orders", 200, 1, 5000),
		HashKey:          s.secret("hash_key", hashKey),
		Policy:           readPolicy(s, shop),
	}
	hashes := slices.ContainsFunc(r.Policy, func(t TablePolicy) bool { return slices.ContainsFunc(t.Columns, ColumnPolicy.Hashes) })
	if hashes && !s.has("hash_key") {
		s.problem("hash_key", "is missing, and the policy has a column that becomes a hash")
	}
	return r
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
