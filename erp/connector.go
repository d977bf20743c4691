package erp

import (
	"context"
	"log/slog"
	"time"

	"kvit/config"
	"kvit/destination"
)

// Connector asks one company in one ERP about orders. It only reads, keeps no state between calls but connections and
// tokens, and is called by one goroutine at a time. Beside Probe it can do what the ERP offers: it is a Finder, a
// Follower, both, or an Inbox.
//
// Who does what: the watcher decides when to ask and for which orders, compares every document with the orders
// although the ERP has filtered, keeps watermarks and the day's calls, and writes evidence. A connector turns
// questions into requests and rows into Documents. It never decides that an order is imported: it
// hands over whatever rows came back, those that were not asked for included.
//
// Errors are *Error, without a value of a row or a secret in them.
type Connector interface {
	// Traits tells what the watcher has to know before it asks. It never changes.
	Traits() Traits

	// Probe proves that credentials and company are right: it reads something that no other company has, or at least one
	// document. An empty answer proves nothing, and is an Error of the kind Unproven.
	Probe(ctx context.Context) (Proof, error)
}

// Finder is a Connector whose ERP can be asked for references.
type Finder interface {
	// Lookup hands over the documents that have one of the references, a page at a time. It is given at most Traits.Batch
	// references, spelled as the ERP should have them ("WEB-10023"), and asks all places where such a document can be: an
	// order that was invoiced is gone from the orders. An error of found ends the lookup and is returned as it is.
	Lookup(ctx context.Context, refs []string, found func([]Document) error) error
}

// Follower is a Connector whose ERP can be asked what has changed.
type Follower interface {
	// Streams are the places that are asked, each with a watermark of its own, such as salesOrders. The names are stored.
	Streams() []string

	// Since hands over the documents of a stream that were changed at or after a time, oldest first as far as the ERP
	// can, a page at a time. Every page has to be read: nil means that nothing is missing. It is given whole multiples of
	// Traits.Resolution. Each Document has its ChangedAt, by the ERP's clock. An error of found ends it and is returned as
	// it is.
	Since(ctx context.Context, stream string, from time.Time, found func([]Document) error) error
}

// Subscriber is a Connector whose ERP says by itself when something has changed, which is a hint to look sooner.
type Subscriber interface {
	// Subscribe sees to it that the ERP goes on saying so, and returns until when it does. It is called once a day, and is the only
	// thing that kvit writes into an ERP.
	Subscribe(ctx context.Context) (until time.Time, err error)
}

// Inbox is a Connector that is given documents, files in a folder for instance.
type Inbox interface {
	// Collect hands over what lies there, a piece at a time, and puts a piece away for good once take has returned nil.
	// What take has refused stays where it is. A piece that cannot be read is put aside, and makes an Error of the kind
	// Malformed after all others have been taken.
	Collect(ctx context.Context, take func([]Document) error) error
}

// Traits are what the watcher has to know about a Connector.
type Traits struct {
	// Batch is how many references one Lookup takes; at least 1 of a Finder.
	Batch int
	// Exact tells that the ERP compares whole values: rows that were not asked for mean that it ignores the filter.
	Exact bool
	// Lines and Total tell that documents have these where Common.Lines and Common.Total ask for them.
	Lines, Total bool
	// Resolution is what the ERP's times of change are multiples of: a day if it tells no time; 0: a second or less.
	Resolution time.Duration
}

// Proof is what Probe has proved.
type Proof struct {
	Company string     // in a few words, for operators: company CRONUS, 2 collections readable
	Expires *time.Time // when the credentials end; nil: the ERP does not tell
}

// The kinds of a Document. What is none of these is of no interest and not handed over.
const (
	OrderDocument      = "order"
	InvoiceDocument    = "invoice"
	ShipmentDocument   = "shipment"
	QuoteDocument      = "quote"       // no evidence
	CreditMemoDocument = "credit_memo" // no evidence
)

// Document is one that the ERP has. Nothing of it is personal: connectors ask for the columns that they need, and no others.
type Document struct {
	Kind        string
	Ref         string // the web order's reference exactly as the ERP has it; empty: it has none
	Number      string // its own number, that people in the ERP see
	OrderNumber string // of the order that an invoice or shipment came from; empty: not known

	// CreatedAt is when the order came into the ERP; nil: it does not tell for certain, time zone included. Then the time
	// at which kvit saw it counts, which is later.
	CreatedAt *time.Time
	// ChangedAt is when it was last changed, for Since; zero in answers to Lookup where the ERP does not tell.
	ChangedAt time.Time

	// For the check of completeness; needed only where Common.Lines or Common.Total ask for them.
	Lines int    // how many the document has; 0: not known
	Total string // a decimal with a point, tax included; empty: not known
}

// Settings are what kvit.yaml says of one ERP by the keys that are its kind's own.
type Settings interface {
	// Make makes the connector, or returns an error that names the wrong key.
	Make(common Common) (Connector, error)
}

// Common is what connectors of all kinds are made with, beside their Settings.
type Common struct {
	Name   string // of the source in kvit.yaml
	HTTP   destination.ClientOptions
	Meter  *Meter       // counts requests; nil: nobody counts
	Logger *slog.Logger // may be nil

	// What the documents have to tell for the check of completeness.
	Lines, Total bool

	// Wait waits between requests; nil: by the clock. Tests put their own here.
	Wait func(ctx context.Context, d time.Duration) error
	// Now is the clock that tokens expire by; nil: time.Now.
	Now func() time.Time
}

// Reader makes a config.Kind.Read of a function that reads a kind's own keys.
func Reader[S Settings](read func(*config.Section) S) func(*config.Section) any {
	return func(s *config.Section) any { return read(s) }
}
