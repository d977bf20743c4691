package status

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Severity says how much haste an alarm needs.
type Severity string

// Critical is for now, also at night: something is not done, or may be done wrongly. Warning is for the next working day.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
)

// Kind is one of the alarms that there are.
type Kind struct {
	Name     string   // stable: in Prometheus's rules, in messages, in kvit.alarm
	Title    string   // in capitals, for a terminal
	Severity Severity //
	Means    string   // one sentence
	Do       string   // what to do, with the command to type; {subject} stands for the subject's name
	Label    string   // Prometheus's name of the subject: destination or source; empty: it has none
	Local    bool     // it is about the machine that looks: another may not see it

	Expr string        // Prometheus: there is a row for each subject while the alarm is on
	For  time.Duration // for how long it has to be true there

	find func(s Status) []found
}

// Anchor is the section of docs/operations.md that says more.
func (k Kind) Anchor() string { return strings.ToLower(k.Name) }

// Rest tells what to do about a subject.
func (k Kind) Rest(subject string) string { return strings.ReplaceAll(k.Do, "{subject}", subject) }

// found is one case of a Kind.
type found struct {
	subject string
	detail  string
	since   *time.Time
}

// Alarm is one that is on. No part of it holds personal data.
type Alarm struct {
	Name     string     `json:"name"`
	Title    string     `json:"title"`
	Severity Severity   `json:"severity"`
	Subject  string     `json:"subject"` // a destination, a source, a rule or a column; empty: kvit as a whole
	Detail   string     `json:"detail"`  // how many, how old, which: one line
	Means    string     `json:"means"`
	Do       string     `json:"do"`
	Docs     string     `json:"docs"`  // the file of the manual and the section in it
	Since    *time.Time `json:"since"` // null: that is not known
}

// Manual is the file that has a section for each Kind.
const Manual = "docs/operations.md"

// Alarms are those that are on, the critical ones first. Of a Status of which parts could not be read this is one, too; the zero
// Status knows nothing, and says so.
func Alarms(s Status) []Alarm {
	list := []Alarm{}
	for _, k := range Kinds {
		for _, f := range k.find(s) {
			list = append(list, Alarm{
				Name: k.Name, Title: k.Title, Severity: k.Severity, Subject: f.subject, Detail: f.detail,
				Means: k.Means, Do: k.Rest(f.subject), Docs: Manual + "#" + k.Anchor(), Since: f.since,
			})
		}
	}
	slices.SortStableFunc(list, func(a, b Alarm) int { return cmp.Compare(order(a.Severity), order(b.Severity)) })
	return list
}

func order(s Severity) int {
	if s == Critical {
		return 0
	}
	return 1
}

// KindOf finds a kind by its name.
func KindOf(name string) (Kind, bool) {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return Kinds[i], true
}
