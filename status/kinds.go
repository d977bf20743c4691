package status

import (
	"fmt"
	"strconv"
	"time"

	"kvit/store"
	"kvit/watch"
)

// From when on something is an alarm. The same numbers stand in the expressions of Kinds.
const (
	waitsLong    = time.Hour           // an event that waits
	failsMany    = 10                  // deliveries that failed or were rejected within an hour
	unreadMany   = 100                 // events withheld within a day since their consent is not understood
	heldLong     = 15 * time.Minute    // a provider that is left alone
	endsSoon     = 14 * 24 * time.Hour // credentials of an ERP
	taskOld      = 14 * 24 * time.Hour // a person is to be answered within a month
	pausedLong   = time.Hour           // somebody may have forgotten to resume
	untoldLong   = time.Hour           // a channel of notify that takes nothing
	minutes5     = 5 * time.Minute
	minutes10    = 10 * time.Minute
	minutes15    = 15 * time.Minute
	minutes3     = 3 * time.Minute
	anAlarmOfOur = `max by (subject) (kvit_alarm{alarm="%s"}) > 0`
)

// Kinds are all alarms that there are, in the order in which they are told.
var Kinds = []Kind{
	{
		Name: "KvitDown", Title: "KVIT DOES NOT RUN", Severity: Critical,
		Means: "No kvit run leads: events wait, no order is marked, and nothing is erased.",
		Do:    "Start it: systemctl start kvit, and read its log: journalctl -u kvit -n 100. What is in Postgres is not lost.",
		Expr:  `absent(up{job="kvit"} == 1)`, For: minutes5,
		find: func(s Status) []found {
			return one(!s.At.IsZero() && !s.Running && !s.unread("who runs"), "no process leads", nil)
		},
	},
	{
		Name: "KvitStatusUnreadable", Title: "CANNOT BE READ", Severity: Critical,
		Means: "A part of kvit's state could not be read, so that nobody knows whether it is well.",
		Do:    "kvit check names what is wrong. If the database is away: bring it back; kvit goes on by itself.",
		Expr:  `absent(kvit_erasure_braked) and on () (max(up{job="kvit"}) == 1)`, For: minutes5,
		find: func(s Status) []found {
			if s.At.IsZero() && len(s.Unreadable) == 0 {
				return []found{{detail: "nothing has been read"}}
			}
			return each(s.Unreadable, func(u Unread) (found, bool) { return found{subject: u.What, detail: u.Problem}, true })
		},
	},
	{
		Name: "KvitCannotErase", Title: "DOES NOT ERASE", Severity: Critical, Local: true,
		Means: "This machine's clock and the database's disagree, or this kvit is older than the schema asks for: it does not erase.",
		Do:    "Compare chronyc tracking here and at the database, and mend the clock that is wrong; or install the kvit that the others have.",
		Expr:  `max(abs(kvit_clock_ahead_seconds)) > 60 or max(kvit_too_old_to_erase) > 0`, For: minutes3,
		find: func(s Status) []found { return one(s.Clocks.Problem != "", s.Clocks.Problem, nil) },
	},
	{
		Name: "KvitClock", Title: "CLOCKS APART", Severity: Warning, Local: true,
		Means: "This machine's clock and the database's are more than 5 seconds apart; beyond 60 nothing is erased here.",
		Do:    "Compare chronyc tracking here and at the database, and mend the clock that is wrong.",
		Expr:  `max(abs(kvit_clock_ahead_seconds)) > 5`, For: minutes3,
		find: func(s Status) []found {
			ahead := time.Duration(s.Clocks.Ahead * float64(time.Second))
			return one(s.Clocks.Problem == "" && ahead.Abs() > watch.WarnApart, Apart(ahead), nil)
		},
	},
	{
		Name: "KvitFuture", Title: "IN THE FUTURE", Severity: Critical,
		Means: "A record lies ahead of the database's clock: that clock was ahead once, and what was erased then was too early, or it is behind now.",
		Do:    "Compare chronyc tracking at the database with another machine before anything else is done.",
		Expr:  `max(kvit_records_in_future) > 0`,
		find: func(s Status) []found {
			return each(s.Clocks.Future, func(a store.Ahead) (found, bool) {
				return found{subject: a.What, detail: a.What + " at " + a.At.UTC().Format(time.RFC3339) + ": the database's clock was ahead, or is behind"}, true
			})
		},
	},
	{
		Name: "KvitDestinationDisabled", Title: "DISABLED BY RECEIVER", Severity: Critical, Label: "destination",
		Means: "The receiver has answered 410: it wants no more events. They wait.",
		Do:    "Ask who runs the receiver. When it is there again, or its address is corrected in kvit.yaml: kvit resume {subject}",
		Expr:  `max by (destination) (kvit_destination_disabled) == 1`,
		find: destinations(func(d store.DestinationStatus, _ time.Time) (found, bool) {
			return found{detail: text(d.DisabledReason)}, d.DisabledReason != nil
		}),
	},
	{
		Name: "KvitDeliveriesLost", Title: "LOST", Severity: Critical, Label: "destination",
		Means: "Deliveries have neither receipt nor job: somebody has deleted jobs that were waiting.",
		Do:    "kvit replay --destination {subject} --outcome lost",
		Expr:  `max by (destination) (kvit_deliveries_lost) > 0`,
		find: destinations(func(d store.DestinationStatus, _ time.Time) (found, bool) {
			return found{detail: bounded(d.Lost) + " without receipt or job"}, d.Lost > 0
		}),
	},
	{
		Name: "KvitEventsWait", Title: "EVENTS WAIT", Severity: Critical, Label: "destination",
		Means: "The oldest event of a destination has waited for more than an hour.",
		Do:    "kvit status tells whether {subject} is held, off, disabled or removed, and its last error. If it is none of these: kvit health",
		Expr:  `max by (destination) (kvit_oldest_pending_seconds) > 3600`, For: minutes10,
		find: destinations(func(d store.DestinationStatus, now time.Time) (found, bool) {
			waits := d.OldestPending != nil && now.Sub(*d.OldestPending) > waitsLong
			return found{detail: Counted(d.Pending, d.PendingExact) + " wait" + whyItWaits(d), since: d.OldestPending}, waits
		}),
	},
	{
		Name: "KvitProviderHeld", Title: "PROVIDER LEFT ALONE", Severity: Warning, Label: "destination",
		Means: "The provider is down, asks to slow down or does not accept the credentials, for a quarter of an hour now. Its events wait.",
		Do:    "If the reason is about credentials: put the right ones into kvit.yaml, kvit check, restart. Otherwise nothing: kvit goes on by itself.",
		Expr:  `max by (destination) (kvit_breaker_open) == 1`, For: minutes15,
		find: destinations(func(d store.DestinationStatus, now time.Time) (found, bool) {
			held := d.Enabled && d.HeldUntil != nil && d.HeldSince != nil && now.Sub(*d.HeldSince) > heldLong
			return found{detail: text(d.HeldReason), since: d.HeldSince}, held
		}),
	},
	{
		Name: "KvitDestinationPaused", Title: "PAUSED", Severity: Warning,
		Means: "Somebody has paused a destination, more than an hour ago. Its events wait, and may become older than the provider takes.",
		Do:    "kvit status tells by whom. When the reason is gone: kvit resume {subject}",
		Expr:  fmt.Sprintf(anAlarmOfOur, "KvitDestinationPaused"),
		find: destinations(func(d store.DestinationStatus, now time.Time) (found, bool) {
			paused := d.Enabled && d.RemovedAt == nil && d.PausedAt != nil && now.Sub(*d.PausedAt) > pausedLong
			return found{detail: Masked(text(d.PausedReason)), since: d.PausedAt}, paused
		}),
	},
	{
		Name: "KvitEventsFail", Title: "EVENTS FAIL", Severity: Warning, Label: "destination",
		Means: "More than 10 deliveries have failed or were rejected within an hour.",
		Do:    "kvit replay --destination {subject} --outcome failed --outcome rejected --since 1h --dry-run lists the reasons. Mend what they name, then send them without --dry-run.",
		Expr:  `sum by (destination) (increase(kvit_deliveries_total{outcome=~"failed|rejected"}[1h])) > 10`,
		find: func(s Status) []found {
			return each(s.Trouble, func(t store.TroubleOfHour) (found, bool) {
				return found{subject: t.Destination, detail: bounded(t.Count) + " within an hour", since: t.Since}, t.Count > failsMany
			})
		},
	},
	{
		Name: "KvitConsentNotUnderstood", Title: "CONSENT NOT UNDERSTOOD", Severity: Warning, Label: "destination",
		Means: "The shop writes consent in a form that kvit does not read, so that these events are withheld.",
		Do:    "The receipts' reasons say what was found: docs/shop.md, Consent, says what is read. Mend the shop or consent.map.",
		Expr:  `max by (destination) (kvit_consent_not_understood) > 100`,
		find: destinations(func(d store.DestinationStatus, _ time.Time) (found, bool) {
			return found{detail: bounded(d.UnreadConsent) + " events withheld within a day"}, d.UnreadConsent > unreadMany
		}),
	},
	{
		Name: "KvitERPSilent", Title: "ERP SILENT", Severity: Critical, Label: "source",
		Means: "An ERP was not asked with success for three polls: its orders are not marked, and not erased.",
		Do:    "kvit erp list tells the error; kvit check tries the credentials.",
		Expr:  `max by (source) (kvit_erp_silent) > 0`,
		find: sources(func(e store.ERPSourceStatus, _ time.Time) (found, bool) {
			return found{detail: strconv.Itoa(e.Failures) + " failures in a row", since: e.LastSuccessAt}, e.Silent
		}),
	},
	{
		Name: "KvitERPWarning", Title: "ERP ANSWERS ODDLY", Severity: Warning, Label: "source",
		Means: "The answers of an ERP are not as they should be: the wrong company, or a filter that it ignores, for instance.",
		Do:    "kvit erp list tells what is odd. Mend the settings of {subject} in kvit.yaml, kvit check, restart.",
		Expr:  `max by (source) (kvit_erp_warning) > 0`,
		find: sources(func(e store.ERPSourceStatus, _ time.Time) (found, bool) {
			return found{detail: text(e.Warning), since: e.LastRunAt}, e.Enabled && e.Warning != nil
		}),
	},
	{
		Name: "KvitERPCredentialsEnd", Title: "ERP CREDENTIALS END", Severity: Warning, Label: "source",
		Means: "The credentials of an ERP end within 14 days, or have ended.",
		Do:    "Have new ones made in the ERP for {subject}, put them where kvit.yaml reads them, kvit check, restart.",
		Expr:  `min by (source) (kvit_erp_credentials_expire_timestamp) - time() < 14 * 86400`,
		find: sources(func(e store.ERPSourceStatus, now time.Time) (found, bool) {
			if !e.Enabled || e.CredentialsExpire == nil || e.CredentialsExpire.Sub(now) >= endsSoon {
				return found{}, false
			}
			return found{detail: "on " + e.CredentialsExpire.UTC().Format(time.DateOnly)}, true
		}),
	},
	{
		Name: "KvitERPConflict", Title: "TWO ERP NUMBERS", Severity: Warning,
		Means: "An order was told with a second, different number of the ERP within a week. kvit keeps the first.",
		Do:    "kvit orders --conflict lists them. Find out which number is right before the order is erased: kvit hold add REFERENCE --reason 'two ERP numbers' --by NAME",
		Expr:  fmt.Sprintf(anAlarmOfOur, "KvitERPConflict"),
		find: func(s Status) []found {
			return one(s.Conflicts.Count > 0, bounded(s.Conflicts.Count)+" within "+strconv.Itoa(store.ConflictDays)+" days", s.Conflicts.Since)
		},
	},
	{
		Name: "KvitImportLate", Title: "IMPORTS LATE", Severity: Critical,
		Means: "The ERP does not have orders that it should have by now (retention.alarm_unimported_after).",
		Do:    "kvit orders --awaiting lists them; look in the ERP or at its connector why they are missing. kvit only waits.",
		Expr:  `max(kvit_orders_import_late) > 0`, For: minutes10,
		find: func(s Status) []found {
			if s.Orders == nil || s.Orders.ImportsLate == 0 {
				return nil
			}
			return []found{{detail: strconv.FormatInt(s.Orders.ImportsLate, 10) + " orders", since: s.Orders.OldestAwaiting}}
		},
	},
	{
		Name: "KvitOrdersIncomplete", Title: "INCOMPLETE IN THE ERP", Severity: Warning,
		Means: "The ERP shows less of some orders than the shop has, or does not tell (check_lines, check_total): they are not marked, so that their 30 days do not begin.",
		Do:    "kvit orders --incomplete lists them. Mend the document in the ERP, or, if it is right: kvit orders confirm REFERENCE --reason WHY --by NAME.",
		Expr:  `max(kvit_orders_incomplete) > 0`, For: minutes10,
		find: func(s Status) []found {
			if s.Orders == nil || s.Orders.Incomplete == 0 {
				return nil
			}
			return []found{{detail: strconv.FormatInt(s.Orders.Incomplete, 10) + " orders"}}
		},
	},
	{
		Name: "KvitShopMisfit", Title: "SHOP DOES NOT FIT", Severity: Critical,
		Means: "The shop's orders table is not as shop.orders says: no order is marked or erased.",
		Do:    "Put the table's present names into kvit.yaml, kvit check, restart; or have the shop's change taken back.",
		Expr:  `max(kvit_shop_misfit) > 0`,
		find: func(s Status) []found {
			return each(s.ShopMisfits, func(m string) (found, bool) { return found{detail: m}, true })
		},
	},
	{
		Name: "KvitErasureBraked", Title: "BRAKED", Severity: Critical,
		Means: "More was due than one night explains (retention.brake), and the run has erased nothing.",
		Do:    "kvit erase --dry-run tells what is due and why. If that is right: kvit erase --confirm",
		Expr:  `max(kvit_erasure_braked) > 0`,
		find: func(s Status) []found {
			return one(s.Braked > 0, strconv.Itoa(s.Braked)+" orders, rows or events were due", nil)
		},
	},
	{
		Name: "KvitErasureOverdue", Title: "ERASURES OVERDUE", Severity: Critical,
		Means: "Orders' personal data should be gone, and is not.",
		Do:    "kvit check, then kvit erase --dry-run: they name what is in the way. Mend it, then kvit erase",
		Expr:  `max(kvit_erasures_overdue) > 0`,
		find: func(s Status) []found {
			return one(s.Orders != nil && s.Orders.ErasuresOverdue > 0, overdueOrders(s), nil)
		},
	},
	{
		Name: "KvitRowsOverdue", Title: "ROWS OVERDUE", Severity: Critical,
		Means: "Rows of a table that goes by a clock of its own (retention.tables) should be gone, and are not.",
		Do:    "kvit check, then kvit erase: it tells why single rows of {subject} stay.",
		Expr:  fmt.Sprintf(anAlarmOfOur, "KvitRowsOverdue"),
		find: func(s Status) (list []found) {
			for _, t := range s.Tables {
				if t.Overdue > 0 {
					list = append(list, found{subject: t.Rule, detail: strconv.Itoa(t.Overdue) + " rows"})
				}
			}
			return list
		},
	},
	{
		Name: "KvitErasureSilent", Title: "NO ERASURE ENDS WELL", Severity: Critical,
		Means: "No erasure has ended without a problem since a run of retention.schedule that must be over by now.",
		Do:    "select started_at, problem from kvit.erasure_run order by id desc limit 5; tells why. Mend it, then kvit erase",
		Expr:  fmt.Sprintf(anAlarmOfOur, "KvitErasureSilent"),
		find: func(s Status) []found {
			if s.overdueAt.IsZero() || !s.HasRun || s.LastErasure != nil && !s.LastErasure.Before(s.overdueAt) {
				return nil
			}
			return []found{{detail: "since " + moment(s.LastErasure), since: s.LastErasure}}
		},
	},
	{
		Name: "KvitErasureResidue", Title: "COPIES LEFT", Severity: Critical,
		Means: "Values of erased orders stand in a column that no erasure reaches.",
		Do:    "kvit policy scan lists the places; name the column in retention.policy, or empty it. docs/retention.md, Copies, says more.",
		Expr:  `max(kvit_erasure_residue) > 0`,
		find: func(s Status) []found {
			return each(s.Residue, func(r store.ResidueStatus) (found, bool) {
				return found{subject: r.Table + "." + r.Column, detail: "holds values of erased orders", since: &r.FoundAt}, true
			})
		},
	},
	{
		Name: "KvitPolicyProblem", Title: "NOT ERASED", Severity: Critical,
		Means: "Tables or columns are not as the column policy says, or it does not name them: they are not erased.",
		Do:    "kvit check names each. Put them into retention.policy (kvit policy draft proposes), restart.",
		Expr:  `max(kvit_policy_problems) > 0`,
		find: func(s Status) []found {
			n := len(s.PolicyProblems)
			return one(n > 0, strconv.Itoa(n)+" problems, listed below", nil)
		},
	},
	{
		Name: "KvitErasureTaskOld", Title: "TASKS OPEN", Severity: Warning,
		Means: "Destinations have not been told of a person's request for two weeks. The person is to be answered within a month.",
		Do:    "kvit subject tasks lists whom to tell, and how to close each.",
		Expr:  `max(kvit_oldest_erasure_task_seconds) > 14 * 86400`,
		find: func(s Status) []found {
			old := s.OldestTask != nil && s.At.Sub(*s.OldestTask) > taskOld
			return one(old, strconv.FormatInt(s.OpenTasks, 10)+" open", s.OldestTask)
		},
	},
	{
		Name: "KvitAnchor", Title: "ANCHOR", Severity: Critical, Local: true,
		Means: "The file of retention.anchor cannot be written, is damaged, or knows of certificates that the database does not have: a restored backup may go unnoticed.",
		Do:    "Do not remove the file if the database was restored: docs/operations.md, Backup and restore. Otherwise kvit check names what is wrong with it.",
		Expr:  fmt.Sprintf(anAlarmOfOur, "KvitAnchor"),
		find: func(s Status) []found {
			return each(s.AnchorProblems, func(p string) (found, bool) { return found{detail: p}, true })
		},
	},
	{
		Name: notifyFails, Title: "NOBODY IS TOLD", Severity: Warning,
		Means: "A channel of notify has not taken a message for more than an hour: whom it serves does not know of an alarm.",
		Do:    "kvit notify test {subject} tells what comes back. Mend notify.{subject} in kvit.yaml, kvit check, restart.",
		Expr:  fmt.Sprintf(anAlarmOfOur, notifyFails),
		find: func(s Status) []found {
			return each(s.Untold, func(c store.FailingChannel) (found, bool) {
				return found{subject: c.Channel, detail: c.Problem, since: &c.Since}, s.At.Sub(c.Since) > untoldLong
			})
		},
	},
}

const notifyFails = "KvitNotifyFails"

func one(on bool, detail string, since *time.Time) []found {
	if !on {
		return nil
	}
	return []found{{detail: detail, since: since}}
}

func each[T any](list []T, read func(T) (found, bool)) (all []found) {
	for _, item := range list {
		if f, on := read(item); on {
			all = append(all, f)
		}
	}
	return all
}

func destinations(read func(store.DestinationStatus, time.Time) (found, bool)) func(Status) []found {
	return func(s Status) []found {
		return each(s.Destinations, func(d store.DestinationStatus) (found, bool) {
			f, on := read(d, s.At)
			f.subject = d.Name
			return f, on
		})
	}
}

func sources(read func(store.ERPSourceStatus, time.Time) (found, bool)) func(Status) []found {
	return func(s Status) []found {
		return each(s.ERPs, func(e store.ERPSourceStatus) (found, bool) {
			f, on := read(e, s.At)
			f.subject = e.Name
			return f, on
		})
	}
}

func (s Status) unread(what string) bool {
	for _, u := range s.Unreadable {
		if u.What == what {
			return true
		}
	}
	return false
}

func whyItWaits(d store.DestinationStatus) string {
	switch {
	case d.RemovedAt != nil:
		return "; the configuration no longer names it: kvit cancel --destination " + d.Name
	case d.DisabledReason != nil:
		return "; disabled by its receiver"
	case !d.Enabled:
		return "; it is switched off"
	case d.HeldUntil != nil:
		return "; " + text(d.HeldReason)
	default:
		return ""
	}
}

func overdueOrders(s Status) string {
	if s.Orders == nil {
		return ""
	}
	return strconv.FormatInt(s.Orders.ErasuresOverdue, 10) + " orders"
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func moment(t *time.Time) string {
	if t == nil {
		return "the first run"
	}
	return t.UTC().Format(time.RFC3339)
}

// Apart is which of two clocks is ahead; neither of them need be right.
func Apart(ahead time.Duration) string {
	where := "ahead of"
	if ahead < 0 {
		where = "behind"
	}
	return fmt.Sprintf("this machine's clock is %s %s the database's", ahead.Abs().Round(time.Second), where)
}

// Counted is a number of rows, and how exact it is.
func Counted(n int64, exact bool) string {
	switch text := strconv.FormatInt(n, 10); {
	case exact:
		return text
	case n == store.CountedUpTo:
		return text + " or more"
	default:
		return "about " + text
	}
}

// bounded is a number that is counted no further than store.CountedUpTo.
func bounded(n int64) string { return Counted(n, n < store.CountedUpTo) }
