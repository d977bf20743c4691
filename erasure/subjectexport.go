package erasure

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/erasure/policy"
	"kvit/store"
)

// SubjectSummary counts what an export holds. Nothing in it is personal.
type SubjectSummary struct {
	orders, rows, events int
	unsearched           []Unsearched
}

// Incomplete tells whether a table that should have been searched was not.
func (s SubjectSummary) Incomplete() bool { return isIncomplete(s.unsearched) }

// String is what a command says when it has written the export.
func (s SubjectSummary) String() string {
	text := "nothing found"
	if s.orders+s.rows+s.events > 0 {
		text = fmt.Sprintf("%d orders, %d rows of other tables, %d events", s.orders, s.rows, s.events)
	}
	for _, u := range s.unsearched {
		text += "\nnot searched: " + u.String()
	}
	return text
}

// SubjectExport is what the database holds about a person, ready to be written.
type SubjectExport struct {
	subject store.Subject
	orders  *store.Orders // nil: no shop is configured
	policy  policy.Policy
	notes   []string

	to    *bufio.Writer
	found SubjectSummary
}

// member of the export that tells what was not searched, so that a program need not read notes.
const unsearchedMember = "not_searched"

// ExportSubject prepares a person's export from the shop's orders, the tables of the policy and the events.
// shop is the shop's orders table, whether or not a policy erases them; nil: no shop is configured. The error
// is store.ErrNotSearchable if the orders cannot be searched for the person.
func (e *Eraser) ExportSubject(ctx context.Context, subject store.Subject, shop *store.Orders) (*SubjectExport, error) {
	export := &SubjectExport{subject: subject, orders: shop, policy: e.Policy, notes: []string{}}
	if shop != nil {
		if err := subject.Searchable(*shop); err != nil {
			return nil, err
		}
		export.policy.Orders = policy.OrdersTable{Name: shop.Table, Email: shop.Email} // what leads to orders
	}
	// Where the policy does not fit, something may not have been searched.
	problems, err := e.Check(ctx)
	if err != nil {
		export.notes = append(export.notes, "retention.policy could not be checked: "+describe(err))
	}
	for _, p := range problems {
		export.notes = append(export.notes, "retention.policy: "+p.String())
	}
	export.found.unsearched = e.unreached(export.policy)
	if shop != nil {
		export.found.unsearched = merged(export.found.unsearched, unasked(export.policy, *shop, subject))
	}
	return export, nil
}

// Write writes one JSON object, as it goes: a person may have many orders. All is of one snapshot. The error
// holds no value of the database. It can be called once.
func (e *SubjectExport) Write(ctx context.Context, pool *pgxpool.Pool, w io.Writer) (SubjectSummary, error) {
	err := store.Snapshot(ctx, pool, func(tx pgx.Tx) error { return e.write(ctx, tx, w) })
	return e.found, valueless(err)
}

// valueless words a database error without its values, which may be what was searched for.
func valueless(err error) error {
	var pgErr interface{ SQLState() string }
	if errors.As(err, &pgErr) {
		return errors.New(store.Describe(err))
	}
	return err
}

func (e *SubjectExport) write(ctx context.Context, db store.DB, w io.Writer) error {
	e.to = bufio.NewWriter(w)
	about := map[string]string{}
	for name, value := range map[string]string{"email": e.subject.Email, "customer_id": e.subject.CustomerID} {
		if value != "" {
			about[name] = value
		}
	}
	if err := errors.Join(e.member("{", "about", about), e.member(",", "exported_at", time.Now().UTC().Truncate(time.Second))); err != nil {
		return err
	}
	refs, err := e.ofOrders(ctx, db)
	if err != nil {
		return err
	}
	e.found.events, err = e.list(ctx, db, ",", eventTable, "events", func(tx store.DB, do func([]byte) error) error {
		return store.EachSubjectEvent(ctx, tx, e.subject, refs, do)
	})
	if err != nil {
		return err
	}
	if err := errors.Join(e.member(",", unsearchedMember, merged(e.found.unsearched)), e.member(",", "notes", e.notes)); err != nil {
		return err
	}
	_, _ = e.to.WriteString("\n}\n") // Flush returns the error of every write before it
	if err := e.to.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// ofOrders writes orders and tables, and returns the orders' references.
func (e *SubjectExport) ofOrders(ctx context.Context, db store.DB) (refs []string, err error) {
	if e.orders == nil {
		e.notes = append(e.notes, "no shop is configured: only events were searched")
		return nil, nil
	}
	var orders []store.SubjectOrder
	err = e.apart(ctx, db, e.orders.Table, func(tx store.DB) (err error) {
		now, err := store.Now(ctx, tx)
		if err != nil {
			return err
		}
		orders, err = store.SubjectOrders(ctx, tx, *e.orders, e.subject, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	customers := 0
	for _, o := range orders {
		if o.Ref != nil {
			refs = append(refs, *o.Ref)
		}
		if o.Customer {
			customers++
		}
	}
	if customers > 0 && e.subject.CustomerID == "" {
		e.notes = append(e.notes, fmt.Sprintf("%d of the orders have a customer id: what is known by that alone was not searched; export it with --customer-id as well", customers))
	}
	e.found.orders, err = e.list(ctx, db, ",", e.orders.Table, "orders", func(tx store.DB, do func([]byte) error) error {
		return store.EachSubjectOrder(ctx, tx, *e.orders, e.subject, do)
	})
	if err != nil {
		return nil, err
	}
	return refs, e.tables(ctx, db)
}

func (e *SubjectExport) tables(ctx context.Context, db store.DB) error {
	if len(e.policy.Tables) == 0 {
		e.notes = append(e.notes, "retention.policy is missing: of the shop's tables, only orders were searched")
	}
	reached, _ := e.policy.Reach()
	_, _ = e.to.WriteString(",\n\"tables\": ")
	before := "{"
	for _, r := range reached {
		n, err := e.list(ctx, db, before, r.Table, r.Table, func(tx store.DB, do func([]byte) error) error {
			return store.EachSubjectRow(ctx, tx, *e.orders, e.subject, r, do)
		})
		if err != nil {
			return err
		}
		e.found.rows += n
		before = ","
	}
	if before == "{" {
		_, _ = e.to.WriteString("{")
	}
	_, _ = e.to.WriteString("}")
	return nil
}

func (e *SubjectExport) member(before, name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	e.name(before, name)
	_, _ = e.to.Write(text)
	return nil
}

func (e *SubjectExport) name(before, name string) {
	text, _ := json.Marshal(name) // a text always encodes
	_, _ = fmt.Fprintf(e.to, "%s\n%s: ", before, text)
}

// list writes an array of what each gives of a table, one object a line, and returns how many there were. A
// table that cannot be read ends its own array, and is noted.
func (e *SubjectExport) list(ctx context.Context, db store.DB, before, table, name string, each func(tx store.DB, do func(object []byte) error) error) (n int, err error) {
	e.name(before, name)
	_, _ = e.to.WriteString("[")
	err = e.apart(ctx, db, table, func(tx store.DB) error {
		return each(tx, func(object []byte) error {
			if n > 0 {
				_ = e.to.WriteByte(',')
			}
			n++
			_ = e.to.WriteByte('\n')
			_, err := e.to.Write(object)
			return err
		})
	})
	_, _ = e.to.WriteString("]")
	return n, err
}

// apart searches a table in a transaction of its own within that of the export, so that its failure is not that
// of the others.
func (e *SubjectExport) apart(ctx context.Context, db store.DB, table string, search func(tx store.DB) error) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return search(tx) })
	reason, ok := misses(ctx, err)
	if !ok {
		return err
	}
	e.found.unsearched = merged(e.found.unsearched, []Unsearched{{Table: table, Reason: reason, failed: true}})
	return nil
}
