package erasure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/proof"
	"kvit/store"
)

// ErrNotReplayed says that orders of the export could not be erased again, and that nothing was changed.
var ErrNotReplayed = errors.New("nothing was replayed")

// Replayed is what a replay did to the chain.
type Replayed struct {
	Certificates int64 `json:"certificates"` // in the export
	Appended     int64 `json:"appended"`     // of these, those that the database lacked
	// Forked: the database's chain is not the beginning of the export's, nor the other way round. It has
	// certificates from after the restore, and stays as it is.
	Forked   bool              `json:"forked"`
	Requests []ReplayedRequest `json:"requests"` // requests of persons that have to be carried out once more
}

// ReplayedRequest is a request to be forgotten whose certificate tells nobody who it was.
type ReplayedRequest struct {
	Reference string    `json:"reference"`
	ErasedAt  time.Time `json:"erased_at"`
}

// Export calls do for every certificate of an export, in order, as often as it is asked to.
type Export func(do func(proof.Certificate) error) error

// Replay erases again what a restored backup brought back: all orders of the export that are there
// and not erased, whatever their clocks. It gives the chain back the certificates that it lost, and adds
// new ones. It is one transaction: an order that cannot be erased undoes everything (ErrNotReplayed),
// so that a database that has been refused for its age stays refused. Held orders are left, and reported.
func (e *Eraser) Replay(ctx context.Context, export Export) (Report, error) {
	r := e.newRun(time.Time{})
	err := r.inOne(ctx, func(tx pgx.Tx) error {
		if err := r.replay(ctx, tx, export); err != nil {
			return err
		}
		if err := tx.Commit(ctx); err != nil {
			return failure("commit replay", err)
		}
		return r.outcome()
	})
	return r.report, err
}

// DryReplay runs the statements of Replay and rolls them back.
func (e *Eraser) DryReplay(ctx context.Context, export Export) (Report, error) {
	r := e.newRun(time.Time{})
	err := r.undone(ctx, func(tx pgx.Tx) error {
		if err := r.replay(ctx, tx, export); err != nil {
			return err
		}
		return r.outcome()
	})
	return r.report, err
}

// replayOrders is how many certificates are looked up at a time.
const replayOrders = 1000

func (r *eraseRun) replay(ctx context.Context, tx pgx.Tx, export Export) error {
	lost, err := r.mend(ctx, tx, export)
	if err != nil {
		return err
	}
	var chunk []proof.Certificate
	err = export(func(c proof.Certificate) error {
		if reference, ok := strings.CutPrefix(c.OrderRef, requestPrefix); ok {
			if c.Number > lost {
				r.report.Replay.Requests = append(r.report.Replay.Requests, ReplayedRequest{Reference: reference, ErasedAt: c.ErasedAt})
			}
			return nil
		}
		if c.IsSupplement() {
			return nil // its order has a certificate of its own
		}
		if isCarts(c) {
			return nil // carts that came back go at the next run, by their own times
		}
		if chunk = append(chunk, c); len(chunk) < replayOrders {
			return nil
		}
		defer func() { chunk = chunk[:0] }()
		return r.again(ctx, tx, chunk)
	})
	if err == nil {
		err = r.again(ctx, tx, chunk)
	}
	if err == nil && r.report.Failed > 0 {
		err = fmt.Errorf("%w: %w", ErrNotReplayed, notErased(r.report.Failed, 0))
	}
	return err
}

// mend verifies the export and appends what the database's chain lacks of it. It returns the number of the
// last certificate that no backup has lost; 0 if that cannot be told.
func (r *eraseRun) mend(ctx context.Context, tx pgx.Tx, export Export) (int64, error) {
	number, hash, err := store.LastCertificate(ctx, tx)
	if err != nil {
		return 0, failure("read the chain", err)
	}
	r.report.Replay = &Replayed{Requests: []ReplayedRequest{}}
	var chain proof.Chain
	var lacking []store.Certificate
	flush := func() error {
		if len(lacking) == 0 {
			return nil
		}
		r.report.Replay.Appended += int64(len(lacking))
		if err := store.AppendCertificates(ctx, tx, lacking); err != nil {
			return failure("give the chain back its certificates", err)
		}
		lacking = lacking[:0]
		return nil
	}
	err = export(func(c proof.Certificate) error {
		if err := chain.Verify(c); err != nil {
			return err
		}
		if c.Number == number && c.Hash != hash {
			r.report.Replay.Forked = true
		}
		if c.Number <= number || r.report.Replay.Forked {
			return nil
		}
		if lacking = append(lacking, store.Certificate(c)); len(lacking) < replayOrders {
			return nil
		}
		return flush()
	})
	if err != nil {
		return 0, err
	}
	if err := flush(); err != nil {
		return 0, err
	}
	r.report.Replay.Certificates = chain.Number
	if chain.Number > number {
		if r.report.Replay.Forked {
			return 0, nil
		}
		return number, nil
	}
	return 0, r.compare(ctx, tx, chain)
}

// compare looks whether the database still has the end of an export that is not longer than its own chain.
func (r *eraseRun) compare(ctx context.Context, tx pgx.Tx, chain proof.Chain) error {
	if chain.Number == 0 {
		return nil
	}
	hash, err := store.CertificateHash(ctx, tx, chain.Number)
	if err != nil {
		return failure("read the chain", err)
	}
	r.report.Replay.Forked = hash != chain.Hash
	return nil
}

// again erases the orders of certificates that are alive. Those that were not imported yet when the backup
// was made get the evidence that the certificate tells of.
func (r *eraseRun) again(ctx context.Context, tx pgx.Tx, certificates []proof.Certificate) error {
	if r.Orders == nil || len(certificates) == 0 {
		return nil
	}
	proofs := map[string]proof.Certificate{}
	for _, c := range certificates {
		proofs[c.OrderRef] = c
	}
	found, err := store.LockOrders(ctx, tx, *r.Orders, refsIn(proofs))
	if err != nil {
		return failure("find orders of certificates", err)
	}
	back, err := r.back(ctx, tx, found)
	if err != nil {
		return wordless("look for what came back", err)
	}
	var alive []string
	var marks []store.Mark
	for _, o := range found {
		if o.ErasedAt != nil && !slices.Contains(back, o.Ref) {
			continue
		}
		alive = append(alive, o.Ref)
		if c := proofs[o.Ref]; o.ImportedAt == nil && c.ERPImportedAt != nil {
			marks = append(marks, store.Mark{Ref: o.Ref, ImportedAt: *c.ERPImportedAt, ERPNumber: number(c)})
		}
	}
	if len(marks) > 0 {
		if err := store.MarkOrders(ctx, tx, *r.Orders, marks); err != nil {
			return failure("mark orders of certificates", err)
		}
	}
	if err := r.named(ctx, store.Clock{Name: store.ClockReplay}, alive); err != nil {
		return wordless("erase orders again", err)
	}
	return r.holding(ctx, tx, alive)
}

// back finds orders that kvit's own marks call erased and that have something again: only the shop's tables
// were restored. Their marks are taken back.
func (r *eraseRun) back(ctx context.Context, tx pgx.Tx, found []store.Order) ([]string, error) {
	var erased []string
	for _, o := range found {
		if o.ErasedAt != nil && r.Orders.OwnMarks() {
			erased = append(erased, o.Ref)
		}
	}
	if len(erased) == 0 {
		return nil, nil
	}
	plan, err := r.fit(ctx, tx)
	if err != nil {
		return nil, err
	}
	left := map[string]bool{}
	for _, e := range plan.erasures {
		remains, err := store.FindRemains(ctx, tx, r.shop, e, erased)
		if err != nil {
			return nil, err
		}
		for ref, n := range remains.Left {
			left[ref] = left[ref] || n > 0
		}
	}
	erased = slices.DeleteFunc(erased, func(ref string) bool { return !left[ref] })
	return erased, store.UnmarkErased(ctx, tx, *r.Orders, erased)
}

// holding reports those that a hold keeps.
func (r *eraseRun) holding(ctx context.Context, tx pgx.Tx, refs []string) error {
	holds, err := store.ActiveHolds(ctx, tx, refs, r.now)
	if err != nil {
		return failure("find holds", err)
	}
	r.report.Held += len(holds)
	r.report.Holds = append(r.report.Holds, holds[:min(len(holds), maxProblems-len(r.report.Holds))]...)
	return nil
}

func refsIn(proofs map[string]proof.Certificate) []string {
	refs := make([]string, 0, len(proofs))
	for ref := range proofs {
		refs = append(refs, ref)
	}
	slices.Sort(refs) // every process locks in the same order
	return refs
}

// number is the ERP's, as the certificate has it; empty if it had none.
func number(c proof.Certificate) string {
	if c.ERPOrderNumber == nil {
		return ""
	}
	return *c.ERPOrderNumber
}
