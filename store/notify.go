package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// AlarmSeen is an alarm that a look has seen. It holds no personal data.
type AlarmSeen struct {
	Alarm, Subject   string // together they tell it from others
	Severity, Detail string
}

// AlarmLook is what one look at kvit's state has seen.
type AlarmLook struct {
	By    string // the machine that looked
	Whole bool   // all could be read; otherwise an alarm that is not among Seen may be on all the same
	Seen  []AlarmSeen
	Local []string // alarms about the machine that looks: that another machine does not see one says nothing
}

// How alarms are followed, by the database's clock. Looks are a minute apart.
const (
	secondLook   = "50 seconds" // a look this long after another is the next one
	forgetLocal  = "1 hour"     // a machine that has not looked for this long is gone
	RemindEvery  = 24 * time.Hour
	lateResolved = "1 day"   // who could not be told for this long that an alarm is over is not told any more
	keepResolved = "30 days" // how long alarms stay in kvit.notification
)

// NoteAlarms follows the alarms: one that two looks in a row have seen is open, and one that two looks in a row have not is
// resolved. A look that saw only a part resolves nothing.
func NoteAlarms(ctx context.Context, db DB, l AlarmLook) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := noteSeen(ctx, tx, l); err != nil || !l.Whole {
			return err
		}
		return noteMissing(ctx, tx, l)
	})
	if err != nil {
		return fmt.Errorf("note alarms: %w", err)
	}
	return nil
}

func noteSeen(ctx context.Context, tx pgx.Tx, l AlarmLook) error {
	var alarms, subjects, severities, details []string
	for _, a := range l.Seen {
		alarms, subjects = append(alarms, a.Alarm), append(subjects, a.Subject)
		severities, details = append(severities, a.Severity), append(details, a.Detail)
	}
	_, err := tx.Exec(ctx, `
		insert into kvit.notification as n (alarm, subject, severity, detail, last_seen_by)
		select a.alarm, a.subject, a.severity, a.detail, $5
		from unnest($1::text[], $2::text[], $3::text[], $4::text[]) a (alarm, subject, severity, detail)
		order by a.alarm, a.subject
		on conflict (alarm, subject) where resolved_at is null do update
		set severity = excluded.severity, detail = excluded.detail, last_seen_at = now(), last_seen_by = excluded.last_seen_by,
		    missing_since = null,
		    opened_at = coalesce(n.opened_at, case when n.seen_at <= now() - interval '`+secondLook+`' then now() end)`,
		alarms, subjects, severities, details, l.By)
	return err
}

func noteMissing(ctx context.Context, tx pgx.Tx, l AlarmLook) error {
	var alarms, subjects []string
	for _, a := range l.Seen {
		alarms, subjects = append(alarms, a.Alarm), append(subjects, a.Subject)
	}
	const missing = `
		n.resolved_at is null
		and not exists (select from unnest($1::text[], $2::text[]) a (alarm, subject) where a.alarm = n.alarm and a.subject = n.subject)
		and (n.alarm <> all ($3::text[]) or n.last_seen_by = $4 or n.last_seen_at < now() - interval '` + forgetLocal + `')`
	local := append([]string{}, l.Local...)
	_, err := tx.Exec(ctx, `delete from kvit.notification n where n.opened_at is null and`+missing, alarms, subjects, local, l.By)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		update kvit.notification n
		set missing_since = coalesce(n.missing_since, now()),
		    resolved_at = case when n.missing_since <= now() - interval '`+secondLook+`' then now() end
		where n.opened_at is not null and`+missing, alarms, subjects, local, l.By)
	return err
}

// AlarmChannel is a channel by which somebody is told of alarms.
type AlarmChannel struct {
	Name         string
	CriticalOnly bool
}

// AddressAlarms notes for each alarm that is open whom it concerns, also channels that are newer than the alarm, and forgets
// alarms that have long been resolved.
func AddressAlarms(ctx context.Context, db DB, channels []AlarmChannel) error {
	var names []string
	var critical []bool
	for _, c := range channels {
		names, critical = append(names, c.Name), append(critical, c.CriticalOnly)
	}
	_, err := db.Exec(ctx, `
		insert into kvit.notification_message (notification_id, channel)
		select n.id, c.name
		from kvit.notification n
		cross join unnest($1::text[], $2::boolean[]) c (name, critical_only)
		where n.opened_at is not null and n.resolved_at is null and (n.severity = 'critical' or not c.critical_only)
		order by n.id, c.name
		on conflict (notification_id, channel) do nothing`, names, critical)
	if err != nil {
		return fmt.Errorf("address alarms: %w", err)
	}
	_, err = db.Exec(ctx, `delete from kvit.notification where resolved_at < now() - interval '`+keepResolved+`'`)
	if err != nil {
		return fmt.Errorf("forget alarms: %w", err)
	}
	return nil
}

// What an AlarmMessage tells.
const (
	AlarmOpened   = "opened"
	AlarmReminder = "reminder"
	AlarmResolved = "resolved"
)

// AlarmMessage is one that is to be sent.
type AlarmMessage struct {
	ID         int64 // of the alarm in kvit.notification
	Channel    string
	What       string // AlarmOpened, AlarmReminder or AlarmResolved
	Alarm      string
	Subject    string
	Severity   string
	Detail     string
	SeenAt     time.Time
	OpenedAt   time.Time
	ResolvedAt *time.Time
	DueAt      time.Time // the same at every attempt: OpenedAt, ResolvedAt, or a day after the channel was last told
	Failures   int       // attempts before this one that failed, in a row
}

// claimFor is how long no other process tries a message that one is sending. A process that ends meanwhile leaves it to others then.
const claimFor = 2 * time.Minute

// ClaimAlarmMessage takes the oldest message that is due for a channel, which no other process then sends for a while. It
// returns ErrNotFound if there is none.
func ClaimAlarmMessage(ctx context.Context, db DB, channel string) (AlarmMessage, error) {
	rows, _ := db.Query(ctx, `
		update kvit.notification_message m
		set next_at = now() + make_interval(secs => $2)
		from (
		    select n.id, n.alarm, n.subject, n.severity, n.detail, n.seen_at, n.opened_at, n.resolved_at,
		           case when n.resolved_at is not null then '`+AlarmResolved+`' when c.sent_at is null then '`+AlarmOpened+`' else '`+AlarmReminder+`' end as what,
		           case when n.resolved_at is not null then n.resolved_at when c.sent_at is null then n.opened_at
		                else coalesce(c.reminded_at, c.sent_at) + make_interval(secs => $3) end as due_at
		    from kvit.notification_message c
		    join kvit.notification n on n.id = c.notification_id
		    where c.channel = $1 and c.next_at <= now()
		      and case when n.resolved_at is not null then c.resolved_at is null and n.resolved_at > now() - interval '`+lateResolved+`'
		               else c.sent_at is null or coalesce(c.reminded_at, c.sent_at) <= now() - make_interval(secs => $3) end
		    order by n.id
		    limit 1
		    for update of c skip locked
		) d
		where m.notification_id = d.id and m.channel = $1
		returning d.id, m.channel, d.what, d.alarm, d.subject, d.severity, d.detail, d.seen_at, d.opened_at, d.resolved_at, d.due_at, m.failures`,
		channel, claimFor.Seconds(), RemindEvery.Seconds()) // Collect reports its error
	m, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[AlarmMessage])
	if errors.Is(err, pgx.ErrNoRows) {
		return AlarmMessage{}, ErrNotFound
	}
	if err != nil {
		return AlarmMessage{}, fmt.Errorf("claim message for channel %s: %w", channel, err)
	}
	return m, nil
}

// AlarmMessageSent notes that a message was taken.
func AlarmMessageSent(ctx context.Context, db DB, m AlarmMessage) error {
	_, err := db.Exec(ctx, `
		update kvit.notification_message
		set sent_at = case when $3 = '`+AlarmOpened+`' then now() else sent_at end,
		    reminded_at = case when $3 = '`+AlarmReminder+`' then now() else reminded_at end,
		    resolved_at = case when $3 = '`+AlarmResolved+`' then now() else resolved_at end,
		    failures = 0, failing_since = null, problem = null, next_at = now()
		where notification_id = $1 and channel = $2`, m.ID, m.Channel, m.What)
	if err != nil {
		return fmt.Errorf("note message to channel %s: %w", m.Channel, err)
	}
	return nil
}

// AlarmMessageFailed notes why a message was not taken, free of values, and that it is tried again after a wait. It
// changes nothing if another process has sent the message meanwhile.
func AlarmMessageFailed(ctx context.Context, db DB, m AlarmMessage, problem string, wait time.Duration) error {
	_, err := db.Exec(ctx, `
		update kvit.notification_message
		set failures = failures + 1, failing_since = coalesce(failing_since, now()), problem = $3, next_at = now() + make_interval(secs => $4)
		where notification_id = $1 and channel = $2
		  and case $5 when '`+AlarmOpened+`' then sent_at is null when '`+AlarmResolved+`' then resolved_at is null
		              else coalesce(reminded_at, sent_at) <= now() - make_interval(secs => $6) end`,
		m.ID, m.Channel, problem, wait.Seconds(), m.What, RemindEvery.Seconds())
	if err != nil {
		return fmt.Errorf("note failure of channel %s: %w", m.Channel, err)
	}
	return nil
}

// FailingChannel is a channel of notify that does not take messages.
type FailingChannel struct {
	Channel string    `json:"channel"`
	Since   time.Time `json:"since"`
	Problem string    `json:"problem"`
}

// FailingChannels lists channels that have a message which they do not take, and that are still tried. Messages that tell of
// such a channel do not count, or it would never end.
func FailingChannels(ctx context.Context, db DB, itself string) ([]FailingChannel, error) {
	rows, _ := db.Query(ctx, `
		select distinct on (m.channel) m.channel, m.failing_since as since, coalesce(m.problem, '') as problem
		from kvit.notification_message m
		join kvit.notification n on n.id = m.notification_id
		where m.failing_since is not null and n.alarm <> $1
		  and m.next_at > now() - interval '1 hour' -- a channel that was removed is not tried any more
		order by m.channel, m.failing_since`, itself) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[FailingChannel])
	if err != nil {
		return nil, fmt.Errorf("read channels that fail: %w", err)
	}
	return list, nil
}
