package pages

import (
	"fmt"
	"time"

	"kvit/store"
)

// alarm is what somebody has to look into, and what to do about it.
type alarm struct {
	Title  string
	Advice string
	Urgent bool // personal data stays, or events are lost, until somebody acts
}

// For so long a destination may be left alone, and an event wait, before somebody is told.
const (
	holdsQuietly = 15 * time.Minute
	waitsQuietly = 15 * time.Minute
)

// alarmsOf are the alarms of an overview, the urgent ones first.
func alarmsOf(o *overview) (list []alarm) {
	list = append(list, erasureAlarms(o)...)
	for i := range o.Destinations {
		list = append(list, o.Destinations[i].alarms(o)...)
	}
	list = append(list, erpAlarms(o)...)
	return list
}

func erasureAlarms(o *overview) (list []alarm) {
	if o.OrdersFault != "" {
		list = append(list, alarm{"The shop's orders table does not fit shop.orders", "No order is marked or erased until it does: kvit check says what to change. " + o.OrdersFault, true})
	}
	if o.Orders != nil && o.Orders.ErasuresOverdue > 0 {
		list = append(list, alarm{several(o.Orders.ErasuresOverdue, groupedAny, "1 erasure is overdue", "erasures are overdue"), "See what the last run says below; kvit erase runs one now.", true})
	}
	if r := o.Erasure.LastRun; r != nil && r.BrakedAt != nil {
		list = append(list, alarm{"The brake has stopped the last erasure", fmt.Sprintf("%d orders, rows or events were due. If that is right: kvit erase --dry-run, then kvit erase --confirm.", *r.BrakedAt), true})
	}
	for _, r := range o.Erasure.Residue {
		list = append(list, alarm{"Copies of erased data are in " + r.Table + "." + r.Column, "Add the column to retention.policy, or empty it; kvit policy scan looks again.", true})
	}
	if o.Erasure.OpenTasks > 0 {
		list = append(list, alarm{several(o.Erasure.OpenTasks, groupedAny, "1 provider has to be told of somebody's request to be forgotten", "providers have to be told of somebody's request to be forgotten"), "kvit subject tasks lists them.", false})
	}
	return list
}

func (c *destinationCard) alarms(o *overview) (list []alarm) {
	if c.Lost > 0 {
		list = append(list, alarm{several(c.Lost, count, "1 delivery to "+c.Name+" is lost", "deliveries to "+c.Name+" are lost"), "They have neither receipt nor job: kvit replay --destination " + c.Name + " --outcome lost sends them.", true})
	}
	if c.DisabledReason != nil {
		list = append(list, alarm{c.Name + " wants no more events", *c.DisabledReason + ". Once the receiver is ready: kvit resume " + c.Name + ".", true})
	}
	if c.UnreadConsent > 0 {
		list = append(list, alarm{several(c.UnreadConsent, count, "1 event's consent was not understood within a day", "events' consents were not understood within a day"), c.Name + " did not get them. See consent.map in kvit.yaml.", false})
	}
	if c.Enabled && c.HeldSince != nil && o.At.Sub(*c.HeldSince) > holdsQuietly {
		list = append(list, alarm{fmt.Sprintf("%s has been left alone for %s", c.Name, spoken(o.At.Sub(*c.HeldSince))), heldReason(c.HeldReason) + ". Its events wait: nothing is lost.", false})
	}
	if c.Enabled && c.Paused == nil && c.OldestPending != nil && o.At.Sub(*c.OldestPending) > waitsQuietly {
		list = append(list, alarm{fmt.Sprintf("The oldest event for %s has waited for %s", c.Name, spoken(o.At.Sub(*c.OldestPending))), "See the reasons under Jobs, or in kvit.delivery_status.", false})
	}
	return list
}

// several is a sentence about one or more.
func several(n int64, shown func(any) string, one, many string) string {
	if n == 1 {
		return one
	}
	return shown(n) + " " + many
}

func heldReason(reason *string) string {
	if reason == nil {
		return "No reason was kept"
	}
	return *reason
}

func erpAlarms(o *overview) (list []alarm) {
	for _, e := range o.ERPs {
		if e.Enabled && e.Silent {
			list = append(list, alarm{"The ERP " + e.Name + " has not answered for three polls", lastError(e), false})
		}
		if e.Warning != nil {
			list = append(list, alarm{"The ERP " + e.Name + " answers oddly", *e.Warning, false})
		}
	}
	if o.Orders != nil && o.Orders.ImportsLate > 0 {
		list = append(list, alarm{several(o.Orders.ImportsLate, groupedAny, "1 order should be in the ERP by now", "orders should be in the ERP by now"), "kvit orders --awaiting lists them.", false})
	}
	return list
}

func lastError(e store.ERPSourceStatus) string {
	if e.LastError == nil {
		return "kvit erp probe " + e.Name + " asks it now."
	}
	return *e.LastError + ". kvit erp probe " + e.Name + " asks it now."
}
