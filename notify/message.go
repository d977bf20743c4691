package notify

import (
	"strconv"
	"strings"
	"time"

	"kvit/destination"
	"kvit/status"
	"kvit/store"
)

// What a Message tells, beside what store.AlarmMessage has.
const test = "test"

// Message is what is sent, whatever the channel. It holds no personal data.
type Message struct {
	ID       string // a UUID, the same at every attempt
	First    string // the ID of the message that has told that the alarm opened; it may not have been taken
	Label    string // stands first
	What     string // store.AlarmOpened, store.AlarmReminder, store.AlarmResolved, or test
	Alarm    string // as in docs/operations.md
	Title    string // the same for people
	Severity status.Severity
	Subject  string // a destination, an ERP, a column; empty: kvit as a whole
	Detail   string
	Means    string
	Do       string
	Docs     string
	At       time.Time  // when there was reason to send it; the same at every attempt
	Since    time.Time  // when the alarm was first seen
	Until    *time.Time // when it was no longer; nil: it is on
}

// longestDetail is in characters.
const longestDetail = 600

// messageOf words a message. A kind that this kvit does not know is that of a newer one.
func messageOf(m store.AlarmMessage, label string) Message {
	k, known := status.KindOf(m.Alarm)
	if !known {
		k = status.Kind{Name: m.Alarm, Title: m.Alarm, Do: "kvit status tells more."}
	}
	return Message{
		ID: messageID(m, m.What, m.DueAt), First: messageID(m, store.AlarmOpened, m.OpenedAt), Label: label,
		What: m.What, Alarm: m.Alarm, Title: k.Title, Severity: status.Severity(m.Severity), Subject: m.Subject, Detail: cut(m.Detail),
		Means: k.Means, Do: k.Rest(m.Subject), Docs: status.Manual + "#" + k.Anchor(),
		At: m.DueAt.UTC(), Since: m.SeenAt.UTC(), Until: utc(m.ResolvedAt),
	}
}

// messageID tells messages apart also where several kvits send to one receiver: the moment is in it.
func messageID(m store.AlarmMessage, what string, due time.Time) string {
	return destination.UUID(strings.Join([]string{"alarm", strconv.FormatInt(m.ID, 10), strconv.FormatInt(m.SeenAt.UnixMicro(), 10), what, strconv.FormatInt(due.UnixMicro(), 10)}, ":")).String()
}

// TestMessage is what kvit notify test sends.
func TestMessage(label, id string, now time.Time) Message {
	return Message{
		ID: id, First: id, Label: label, What: test, Alarm: "KvitTest", Title: "TEST", Severity: status.Warning, Means: "Somebody tries whether messages arrive here.",
		Do: "Nothing: no alarm is on because of this message.", Docs: status.Manual + "#being-told", At: now.UTC(), Since: now.UTC(),
	}
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > longestDetail {
		return string(runes[:longestDetail]) + " …"
	}
	return text
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}

// head is the message in a line: "[kvit] CRITICAL: EVENTS WAIT: crm".
func (m Message) head() string {
	words := map[string]string{store.AlarmReminder: "still ", store.AlarmResolved: "resolved: "}[m.What]
	text := "[" + m.Label + "] " + words
	if m.What != store.AlarmResolved && m.What != test {
		text += strings.ToUpper(string(m.Severity)) + ": "
	}
	text += m.Title
	if m.Subject != "" {
		text += ": " + m.Subject
	}
	return text
}

// lines say the rest.
func (m Message) lines() []string {
	var lines []string
	if m.Detail != "" {
		detail := m.Detail
		if m.What == store.AlarmResolved {
			detail = "Last seen: " + detail
		}
		lines = append(lines, detail)
	}
	if m.Means != "" {
		lines = append(lines, m.Means)
	}
	if m.What == store.AlarmResolved {
		lines = append(lines, "It is over; there is nothing to do.")
	} else {
		lines = append(lines, "Do: "+m.Do)
	}
	return append(lines, m.span(), m.Alarm+", "+m.Docs)
}

func (m Message) span() string {
	from := m.Since.Format(time.RFC3339)
	if m.Until != nil {
		return "From " + from + " to " + m.Until.Format(time.RFC3339) + "."
	}
	return "Since " + from + "."
}
