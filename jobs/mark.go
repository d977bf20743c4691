package jobs

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"kvit/delivery"
	"kvit/erp"
	"kvit/group"
	"kvit/store"
)

// MarkArgs name one piece of evidence. The trigger on kvit.erp_receipt writes them.
type MarkArgs struct {
	ReceiptID int64 `json:"receipt_id"`

	unfit bool
}

// Kind is stored with the job: never rename it.
func (MarkArgs) Kind() string { return "mark_order" }

// UnmarshalJSON notes args that do not fit instead of failing.
func (a *MarkArgs) UnmarshalJSON(data []byte) error {
	type plain MarkArgs
	a.unfit = !decodeArgs(data, (*plain)(a)) || a.ReceiptID <= 0
	return nil
}

// markWorker marks the orders that evidence is about, those of all waiting jobs together.
type markWorker struct {
	river.WorkerDefaults[MarkArgs]
	marks  *group.Group[int64, struct{}]
	logger *slog.Logger
}

// markMax is how many receipts one transaction judges.
const markMax = 500

func newMarkWorker(m marker, logger *slog.Logger) *markWorker {
	return &markWorker{
		marks: group.New(markMax, func(ctx context.Context, ids []int64) ([]struct{}, error) {
			return make([]struct{}, len(ids)), m.mark(ctx, ids)
		}),
		logger: logger,
	}
}

// Work judges one receipt.
func (w *markWorker) Work(ctx context.Context, job *river.Job[MarkArgs]) (err error) {
	defer catch(w.logger, job.ID, &err)
	if job.Args.unfit {
		return river.JobCancel(errArgs)
	}
	if _, err := w.marks.Do(ctx, job.Args.ReceiptID); err != nil {
		if errors.Is(err, group.ErrPanic) || ctx.Err() != nil {
			return err
		}
		w.logger.Error("orders could not be marked", "receipt_id", job.Args.ReceiptID, "problem", store.Describe(err))
		return errors.New("mark order: " + store.Describe(err))
	}
	return nil
}

// NextRetry backs off, at most 30 minutes: what keeps orders from being marked is the shop's
// database, and somebody is mending it.
func (w *markWorker) NextRetry(job *river.Job[MarkArgs]) time.Time {
	return time.Now().Add(min(delivery.Backoff(failures(job.JobRow)), 30*time.Minute))
}

// marker marks orders by evidence.
type marker struct {
	db     store.DB
	orders *store.Orders        // nil: the shop's are not configured
	checks map[string]erp.Check // by source; others compare nothing
}

// mark judges receipts and marks their orders in one transaction. A receipt that has been
// judged is left alone, so that running twice does no harm. Where the shop's database refuses a mark, since a number does not
// fit its column for instance, the others are marked all the same, one by one.
func (m marker) mark(ctx context.Context, ids []int64) error {
	err := m.together(ctx, ids)
	if err == nil || len(ids) == 1 || ctx.Err() != nil || store.IsConnection(err) {
		return err
	}
	var refused error
	for _, id := range ids {
		switch err := m.together(ctx, []int64{id}); {
		case err == nil:
		case ctx.Err() != nil || store.IsConnection(err):
			return err
		default:
			refused = err
		}
	}
	return refused
}

func (m marker) together(ctx context.Context, ids []int64) error {
	return pgx.BeginFunc(ctx, m.db, func(tx pgx.Tx) error {
		receipts, err := store.LockReceipts(ctx, tx, ids)
		if err != nil || len(receipts) == 0 {
			return err
		}
		known, err := knownOrders(ctx, tx, m.orders, receipts)
		if err != nil {
			return err
		}
		if err := m.complete(ctx, tx, receipts, known); err != nil {
			return err
		}
		explained, err := numbersTold(ctx, tx, known)
		if err != nil {
			return err
		}
		marks, verdicts := erp.Judge(m.evidence(receipts, explained), known)
		if len(marks) > 0 {
			if err := store.MarkOrders(ctx, tx, *m.orders, storeMarks(marks)); err != nil {
				return err
			}
		}
		if err := store.SettleReceipts(ctx, tx, storeVerdicts(verdicts)); err != nil {
			return err
		}
		return m.settleIncomplete(ctx, tx, marks)
	})
}

// complete puts to the orders what evidence is compared with, where a source of it wants that.
func (m marker) complete(ctx context.Context, tx pgx.Tx, receipts []store.Receipt, known map[string]erp.Order) error {
	var refs []string
	for _, r := range receipts {
		if order, exists := known[r.OrderRef]; exists && !order.Imported && m.checks[r.Source] != (erp.Check{}) {
			refs = append(refs, r.OrderRef)
		}
	}
	if len(refs) == 0 {
		return nil
	}
	sizes, err := store.OrderSizes(ctx, tx, *m.orders, refs)
	if err != nil {
		return err
	}
	for _, s := range sizes {
		order := known[s.Ref]
		order.Lines, order.Total = s.Lines, text(s.Total)
		if s.ConfirmedAt != nil {
			order.Confirmed, order.ConfirmedAt = s.Confirmed, *s.ConfirmedAt
		}
		known[s.Ref] = order
	}
	return nil
}

// settleIncomplete puts aside older evidence of orders that are marked now.
func (m marker) settleIncomplete(ctx context.Context, tx pgx.Tx, marks []erp.Mark) error {
	var refs []string
	for _, mark := range marks {
		if !mark.ImportedAt.IsZero() {
			refs = append(refs, mark.OrderRef)
		}
	}
	if len(refs) == 0 {
		return nil
	}
	return store.PutIncompleteAside(ctx, tx, refs)
}

func knownOrders(ctx context.Context, tx pgx.Tx, orders *store.Orders, receipts []store.Receipt) (map[string]erp.Order, error) {
	known := map[string]erp.Order{}
	if orders == nil {
		return known, nil
	}
	refs := make([]string, len(receipts))
	for i, r := range receipts {
		refs[i] = r.OrderRef
	}
	list, err := store.LockOrders(ctx, tx, *orders, refs)
	if err != nil {
		return nil, err
	}
	for _, o := range list {
		known[o.Ref] = erp.Order{PlacedAt: o.PlacedAt, Imported: o.ImportedAt != nil, ERPNumber: strings.TrimSpace(text(o.ERPNumber))}
	}
	return known, nil
}

// numbersTold are the orders whose number some evidence has told.
func numbersTold(ctx context.Context, tx pgx.Tx, known map[string]erp.Order) (map[string]bool, error) {
	var refs, numbers []string
	for ref, order := range known {
		if order.ERPNumber != "" {
			refs, numbers = append(refs, ref), append(numbers, order.ERPNumber)
		}
	}
	if len(refs) == 0 {
		return nil, nil
	}
	return store.NumbersTold(ctx, tx, refs, numbers)
}

func (m marker) evidence(receipts []store.Receipt, explained map[string]bool) []erp.Receipt {
	list := make([]erp.Receipt, len(receipts))
	for i, r := range receipts {
		list[i] = erp.Receipt{
			ID: r.ID, OrderRef: r.OrderRef, ERPNumber: text(r.ERPOrderNumber),
			DocumentKind: r.DocumentKind, Source: r.Source, ImportedAt: r.ImportedAt, SeenAt: r.SeenAt,
			FirstNumber: text(r.FirstNumber), Explained: explained[r.OrderRef],
			Total: text(r.Total), Check: m.checks[r.Source],
		}
		if r.LineCount != nil {
			list[i].Lines = *r.LineCount
		}
	}
	return list
}

func storeMarks(marks []erp.Mark) []store.Mark {
	list := make([]store.Mark, len(marks))
	for i, m := range marks {
		list[i] = store.Mark{Ref: m.OrderRef, ImportedAt: m.ImportedAt, ERPNumber: m.ERPNumber}
	}
	return list
}

func storeVerdicts(verdicts []erp.Verdict) []store.Verdict {
	list := make([]store.Verdict, len(verdicts))
	for i, v := range verdicts {
		list[i] = store.Verdict{ReceiptID: v.ReceiptID, Status: v.Status, Detail: v.Detail}
	}
	return list
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
