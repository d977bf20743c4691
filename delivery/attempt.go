package delivery

import (
	"strings"
	"time"

	"kvit/destination"
	"kvit/store"
)

// Outcomes of a delivery, the closed list that receipts use.
const (
	Delivered  = "delivered"
	Withheld   = "withheld"   // no consent
	Rejected   = "rejected"   // can never be accepted
	Expired    = "expired"    // older than the destination takes
	Superseded = "superseded" // a later state of the same thing was delivered before
	Failed     = "failed"     // tried for as long as configured
	Erased     = "erased"     // its data was due before it could be delivered
	Lost       = "lost"       // its job is gone, and nobody has said how it ended
)

// Attempt is one try to deliver one event to one destination, with what earlier ones have left.
type Attempt struct {
	EventID  int64
	JobID    int64        // the row of kvit.river_job that ends with the receipt; 0: none
	Event    *store.Event // as it was when the job was fetched; nil: it has to be loaded
	Number   int          // from 1; what never got as far as the provider is not counted
	First    time.Time    // the first attempt
	Unclear  time.Time    // when the provider may first have counted the event; zero: it cannot have
	Failures int          // attempts that failed by themselves: a crash of kvit is no failure
	PutBack  int          // how often the event was put back without an attempt

	omitted destination.Omissions // what was left out of the event's payload when it was read
}

// unclear tells whether an earlier attempt may have arrived.
func (a Attempt) unclear() bool { return !a.Unclear.IsZero() }

// Verdict is what becomes of an event after an attempt.
type Verdict struct {
	Kind VerdictKind
	Wait time.Duration // PutBack: until it is looked at again
	Err  error         // GivenUp and TryAgain: why, in kvit's own wording and without personal data

	JobEnded bool // Done: the job's row ended with the receipt
}

// VerdictKind tells what follows from an attempt.
type VerdictKind int

// The kinds of verdicts.
const (
	Done     VerdictKind = iota // there is a receipt, and nothing to look into
	GivenUp                     // it ended without success, or cannot be worked on at all
	PutBack                     // again after Wait; this was no attempt
	TryAgain                    // again after the time that failures take; the attempt counts
)

func done() Verdict { return Verdict{Kind: Done} }

func giveUp(err error) Verdict { return Verdict{Kind: GivenUp, Err: err} }

func putBack(wait time.Duration) Verdict { return Verdict{Kind: PutBack, Wait: wait} }

func tryAgain(err error) Verdict { return Verdict{Kind: TryAgain, Err: err} }

// notTaken ends the text of an attempt's error where the provider has certainly not counted the event.
const notTaken = "; not taken"

// attemptText is the error of an attempt as the job row keeps it.
func attemptText(cause *destination.Error) string {
	if mayHaveArrived(cause.Kind) {
		return cause.Error() + "; may have arrived"
	}
	return cause.Error() + notTaken
}

// IsUnclear tells by the text of an attempt's error whether the provider may have counted the event. A
// text that is not of an attempt is one of a crash.
func IsUnclear(attemptError string) bool { return !strings.HasSuffix(attemptError, notTaken) }
