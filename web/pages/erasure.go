package pages

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/erasure"
	"kvit/erasure/policy"
	"kvit/erasure/proof"
	"kvit/jobs"
	"kvit/store"
)

func (s *Site) erasureRoutes() {
	s.read("GET /erasure", s.erasure)
	s.read("GET /erasure/certificates", s.certificates)
	s.read("GET /erasure/certificates/{number}", s.certificate)
	s.operate("POST /erasure/dry-run", s.eraseOperation(jobs.EraseDryRun))
	s.operate("POST /erasure/run", s.eraseOperation(jobs.EraseNow))
	s.operate("POST /erasure/verify", s.eraseOperation(jobs.VerifyChain))
	s.operate("POST /erasure/agree", s.agree)
	s.operate("POST /erasure/holds", s.addHold)
	s.operate("POST /erasure/holds/release", s.releaseHold)
	s.operate("POST /erasure/tasks/{id}/close", s.closeTask)
	s.operate("POST /erasure/residue/clear", s.clearResidue)
}

// runsShown is how many runs the page shows.
const runsShown = 10

type erasurePage struct {
	Erases    bool // orders are configured to be erased
	Status    *store.OrdersStatus
	Misfits   []string
	Problems  []policy.Problem
	Tables    []erasure.TableStatus
	NextRun   time.Time // zero: it runs only when asked
	Last      *time.Time
	Braked    int
	Runs      []store.ErasureRun
	LastCert  int64
	Holds     []store.Hold
	Tasks     []store.Task
	Residue   []store.ResidueStatus
	Requested []operation
	Now       time.Time
}

// Expired tells whether a hold keeps nothing any more.
func (p erasurePage) Expired(h store.Hold) bool {
	return h.ExpiresAt != nil && !h.ExpiresAt.After(p.Now)
}

// Few shortens a list of references.
func (p erasurePage) Few(refs []string) string {
	const few = 3
	if len(refs) <= few {
		return strings.Join(refs, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(refs[:few], " "), len(refs)-few)
}

func (s *Site) erasure(w http.ResponseWriter, r *http.Request) error {
	page, err := s.readErasurePage(r)
	if err != nil {
		return err
	}
	return s.render(w, r, "erasure", page)
}

func (s *Site) readErasurePage(r *http.Request) (page erasurePage, err error) {
	ctx := r.Context()
	if page.Now, err = store.Now(ctx, s.Pool); err != nil {
		return page, err
	}
	if err := s.readDue(r, &page); err != nil {
		return page, err
	}
	if page.Last, err = store.LastErasureSuccess(ctx, s.Pool); err != nil {
		return page, err
	}
	if page.Braked, err = store.Braked(ctx, s.Pool); err != nil {
		return page, err
	}
	if page.Runs, err = store.LastErasureRuns(ctx, s.Pool, runsShown); err != nil {
		return page, err
	}
	if page.LastCert, _, err = store.LastCertificate(ctx, s.Pool); err != nil {
		return page, err
	}
	if page.Holds, err = store.Holds(ctx, s.Pool); err != nil {
		return page, err
	}
	if page.Tasks, err = store.Tasks(ctx, s.Pool, false); err != nil {
		return page, err
	}
	if page.Residue, err = store.OpenResidues(ctx, s.Pool); err != nil {
		return page, err
	}
	page.Requested, err = s.operations(r, jobs.EraseDryRun, jobs.EraseNow, jobs.EraseAgreed, jobs.VerifyChain)
	return page, err
}

// readDue says nothing of what cannot be read, but why.
func (s *Site) readDue(r *http.Request, page *erasurePage) (err error) {
	ctx, grace := r.Context(), s.Grace(page.Now)
	if s.Eraser == nil {
		return nil
	}
	page.Erases = s.Eraser.Orders != nil
	if s.Eraser.Schedule != nil {
		page.NextRun = s.Eraser.Schedule.Next(page.Now)
	}
	if page.Problems, err = s.Eraser.Problems(ctx); err != nil {
		return err
	}
	if page.Tables, err = s.Eraser.TablesStatus(ctx, grace); err != nil {
		return err
	}
	if s.Orders == nil {
		return nil
	}
	if page.Misfits, err = store.ShopMisfits(ctx, s.Pool, *s.Orders); err != nil || len(page.Misfits) > 0 {
		return err
	}
	status, err := store.ReadOrdersStatus(ctx, s.Pool, *s.Orders, grace)
	page.Status = &status
	return err
}

func (s *Site) eraseOperation(kind string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		reason, err := reasonOf(r)
		if err != nil {
			return err
		}
		return s.request(w, r, store.NewOperation{Kind: kind, Reason: reason})
	}
}

// agree lets a run pass the brake that stopped the last one, for as much as somebody has looked at.
func (s *Site) agree(w http.ResponseWriter, r *http.Request) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	braked, err := store.Braked(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	typed, err := strconv.Atoi(strings.TrimSpace(r.PostForm.Get("number")))
	switch {
	case braked == 0:
		return refuse(http.StatusConflict, "The brake has not stopped the last run. Nothing was done.")
	case err != nil || typed != braked:
		return refuse(http.StatusConflict, fmt.Sprintf("The brake stopped the last run at %d, and that is not the number you have typed. Nothing was done.", braked))
	}
	return s.request(w, r, store.NewOperation{Kind: jobs.EraseAgreed, Reason: reason, Request: jobs.Agreed{Due: braked}})
}

func (s *Site) addHold(w http.ResponseWriter, r *http.Request) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	hold := store.Hold{OrderRef: store.OrderRef(r.PostForm.Get("order")), Reason: reason, PlacedBy: who(r.Context())}
	if hold.OrderRef == "" || len(hold.OrderRef) > 100 {
		return refuse(http.StatusBadRequest, "Name the order by the shop's reference. Nothing was done.")
	}
	if hold.ExpiresAt, err = s.lastDay(r.PostForm.Get("until")); err != nil {
		return err
	}
	known := false
	err = s.inTransaction(r, func(tx pgx.Tx) (err error) {
		known, err = store.AddHold(r.Context(), tx, s.Orders, hold)
		return err
	}, store.AuditEntry{Action: "hold", Subject: hold.OrderRef, Reason: reason})
	if errors.Is(err, store.ErrErased) {
		return refuse(http.StatusConflict, "That order is already erased. Nothing was done.")
	}
	if err != nil {
		return err
	}
	sentence := "Order " + masked(hold.OrderRef) + " is on hold: it is not erased."
	if !known {
		sentence += " The orders table has no such reference: look whether you have written it as the shop does."
	}
	s.say(r, sentence)
	return s.see(w, r, "/erasure#holds")
}

// lastDay is the end of a day in the pages' time zone; nil if none is given.
func (s *Site) lastDay(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	day, err := time.ParseInLocation(time.DateOnly, text, s.zone)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "The day must be written as 2027-01-31. Nothing was done.")
	}
	return new(day.AddDate(0, 0, 1)), nil
}

func (s *Site) releaseHold(w http.ResponseWriter, r *http.Request) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	ref := r.PostForm.Get("order")
	err = s.inTransaction(r, func(tx pgx.Tx) error { return store.ReleaseHold(r.Context(), tx, ref) },
		store.AuditEntry{Action: "release hold", Subject: ref, Reason: reason})
	if errors.Is(err, store.ErrNotFound) {
		return refuse(http.StatusConflict, "That order is not on hold. Nothing was done.")
	}
	if err != nil {
		return err
	}
	s.say(r, "The hold on order "+masked(ref)+" has ended. It is erased when it is due.")
	return s.see(w, r, "/erasure#holds")
}

func (s *Site) closeTask(w http.ResponseWriter, r *http.Request) error {
	note, err := reasonOf(r)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return refuse(http.StatusNotFound, "There is no such task.")
	}
	err = s.inTransaction(r, func(tx pgx.Tx) error {
		return store.CloseTask(r.Context(), tx, store.Closing{ID: id, By: who(r.Context()), Note: note})
	}, store.AuditEntry{Action: "close task", Subject: strconv.FormatInt(id, 10), Reason: note})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refuse(http.StatusNotFound, "There is no such task.")
	case errors.Is(err, store.ErrClosed):
		return refuse(http.StatusConflict, "That task is closed already. Nothing was done.")
	case err != nil:
		return err
	}
	s.say(r, fmt.Sprintf("Task %d is closed.", id))
	return s.see(w, r, "/erasure#tasks")
}

func (s *Site) clearResidue(w http.ResponseWriter, r *http.Request) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	if s.Eraser == nil {
		return refuse(http.StatusConflict, "This kvit erases nothing. Nothing was done.")
	}
	place := r.PostForm.Get("place")
	err = s.inTransaction(r, func(tx pgx.Tx) error {
		eraser := *s.Eraser
		eraser.DB = tx
		return eraser.ClearResidue(r.Context(), place, who(r.Context()))
	}, store.AuditEntry{Action: "clear residue", Subject: place, Reason: reason})
	if errors.Is(err, store.ErrNotFound) {
		return refuse(http.StatusConflict, "Nothing is known to be left there. Nothing was done.")
	}
	if err != nil {
		return err
	}
	s.say(r, "Noted that nothing is left in "+place+", with a certificate for each order.")
	return s.see(w, r, "/erasure#residue")
}

type certificatesPage struct {
	Ref  string
	List []store.Certificate
	Next int64 // go on before this number; 0: that was all
}

func (s *Site) certificates(w http.ResponseWriter, r *http.Request) error {
	page := certificatesPage{Ref: store.OrderRef(r.FormValue("order"))}
	before, _ := strconv.ParseInt(r.FormValue("before"), 10, 64) // anything else begins with the newest
	var err error
	if page.List, err = store.LastCertificates(r.Context(), s.Pool, before, page.Ref, listed); err != nil {
		return err
	}
	if len(page.List) == listed {
		page.Next = page.List[len(page.List)-1].Number
	}
	return s.render(w, r, "certificates", page)
}

type certificatePage struct {
	store.Certificate
	Problem string // what is wrong with it; empty: it holds
}

func (s *Site) certificate(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.ParseInt(r.PathValue("number"), 10, 64)
	if err != nil {
		return refuse(http.StatusNotFound, "There is no such certificate.")
	}
	c, err := store.CertificateNumbered(r.Context(), s.Pool, number)
	if errors.Is(err, store.ErrNotFound) {
		return refuse(http.StatusNotFound, "There is no such certificate.")
	}
	if err != nil {
		return err
	}
	problem, err := s.check(r, c)
	if err != nil {
		return err
	}
	return s.render(w, r, "certificate", certificatePage{c, problem})
}

// check computes a certificate's hash anew, and looks whether it follows the one before it.
func (s *Site) check(r *http.Request, c store.Certificate) (problem string, err error) {
	var chain proof.Chain
	if c.Number > 1 {
		before, err := store.CertificateNumbered(r.Context(), s.Pool, c.Number-1)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Sprintf("certificate %d, which it follows, is missing", c.Number-1), nil
		}
		if err != nil {
			return "", err
		}
		chain = proof.Chain{Number: before.Number, Hash: before.Hash}
	}
	if err := chain.Verify(proof.Certificate(c)); err != nil {
		return err.Error(), nil //nolint:nilerr // that it does not hold is the answer
	}
	return "", nil
}
