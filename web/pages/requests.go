package pages

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"kvit/delivery"
	"kvit/erasure"
	"kvit/erasure/proof"
	"kvit/erp/watcher"
	"kvit/jobs"
	"kvit/store"
)

func (s *Site) actionRoutes() {
	s.destinationRoutes()
	s.erpRoutes()
	s.incompleteRoutes()
	s.erasureRoutes()
	s.replayRoutes()
	s.listRoutes()
	s.read("GET /operations/{id}", s.operation)
}

// longestReason is in bytes.
const longestReason = 500

// reasonOf is why somebody acts. Every action asks for it, and the audit keeps it.
func reasonOf(r *http.Request) (string, error) {
	if err := r.ParseForm(); err != nil {
		return "", refuse(http.StatusBadRequest, "That form could not be read. Nothing was done.")
	}
	reason := strings.Join(strings.Fields(r.PostForm.Get("reason")), " ")
	switch {
	case reason == "":
		return "", refuse(http.StatusBadRequest, "Say why: an action needs a reason. Nothing was done.")
	case len(reason) > longestReason:
		return "", refuse(http.StatusBadRequest, "That reason is longer than 500 characters. Nothing was done.")
	case strings.Contains(reason, "@"):
		return "", refuse(http.StatusBadRequest, "That reason seems to hold a mail address. Reasons are kept, and must hold no personal data. Nothing was done.")
	}
	return reason, nil
}

// inTransaction does work and its audit together.
func (s *Site) inTransaction(r *http.Request, work func(pgx.Tx) error, audit store.AuditEntry) error {
	ctx := r.Context()
	audit.Who = who(ctx)
	err := store.Audited(ctx, s.Pool, audit, work)
	var held *store.HeldError
	if errors.As(err, &held) {
		return refuse(http.StatusConflict, "An erasure is at work at this moment. Nothing was done; try again in a minute.")
	}
	return err
}

// request asks for work that takes longer than a page may, and goes to the page that shows how it goes on.
func (s *Site) request(w http.ResponseWriter, r *http.Request, o store.NewOperation) error {
	if s.River == nil {
		return refuse(http.StatusServiceUnavailable, "kvit has not started yet. Nothing was done.")
	}
	o.Who = who(r.Context())
	id, err := jobs.Request(r.Context(), s.River, s.Pool, o)
	if err != nil {
		return err
	}
	s.say(r, "Asked for: "+titleOf(o.Kind, o.Subject)+". This page shows how it goes on.")
	return s.see(w, r, fmt.Sprintf("/operations/%d", id))
}

// titles of the kinds of operations.
var titles = map[string]string{
	delivery.ReplayAction: "Replay", delivery.CancelAction: "Cancel", delivery.SendNowAction: "Send now",
	jobs.EraseDryRun: "Dry run of the erasure", jobs.EraseNow: "Erasure", jobs.EraseAgreed: "Erasure past the brake", jobs.VerifyChain: "Verification of the certificates",
	jobs.TestEvent: "Test event", jobs.ERPProbe: "Probe", jobs.ERPLookup: "Lookup",
}

func titleOf(kind, subject string) string {
	title := titles[kind]
	if title == "" {
		title = kind
	}
	if subject != "" {
		title += " · " + subject
	}
	return title
}

// operation is a request as pages show it.
type operation struct {
	store.Operation
	Erasure *erasure.Report
	Chain   *proof.Chain
	Trial   *delivery.Trial
	Proof   *jobs.Proof
	Answers []watcher.Answer
}

// Title names what was asked for.
func (o operation) Title() string { return titleOf(o.Kind, o.Subject) }

// Home is the page on which it was asked for.
func (o operation) Home() string {
	switch o.Kind {
	case delivery.ReplayAction, delivery.CancelAction, delivery.SendNowAction:
		return "/replay"
	case jobs.EraseDryRun, jobs.EraseNow, jobs.EraseAgreed, jobs.VerifyChain:
		return "/erasure"
	case jobs.TestEvent:
		return "/destinations"
	case jobs.ERPProbe, jobs.ERPLookup:
		return "/erp"
	default:
		return ""
	}
}

// Counts tells whether events are counted.
func (o operation) Counts() bool { return o.Planned != nil }

// Short is how many events of those agreed to were left alone, since they were no longer as they had been; 0 while it is at work.
func (o operation) Short() int64 {
	if o.Planned == nil || o.FinishedAt == nil {
		return 0
	}
	return *o.Planned - o.Done
}

// State is a word for the coloured frame, and State with "state-" before it its class.
func (o operation) State() string {
	switch {
	case o.FinishedAt != nil && o.Problem != nil:
		return "failed"
	case o.FinishedAt != nil:
		return "done"
	case o.StartedAt != nil:
		return "at work"
	default:
		return "waits"
	}
}

// Class is the state's class of the stylesheet.
func (o operation) Class() string {
	return map[string]string{"failed": "state-failed", "done": "state-delivered", "at work": "state-pending", "waits": "state-pending"}[o.State()]
}

func (s *Site) operation(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return refuse(http.StatusNotFound, "There is no such operation.")
	}
	stored, err := store.ReadOperation(r.Context(), s.Pool, id)
	if errors.Is(err, store.ErrNotFound) {
		return refuse(http.StatusNotFound, "There is no such operation.")
	}
	if err != nil {
		return err
	}
	o := operation{Operation: stored}
	if err := o.readReport(); err != nil {
		return err
	}
	return s.render(w, r, "operation", o)
}

// readReport makes what the report of the kind holds of its JSON.
func (o *operation) readReport() error {
	if o.Report == nil {
		return nil
	}
	var into any
	switch o.Kind {
	case jobs.EraseDryRun, jobs.EraseNow, jobs.EraseAgreed:
		into = &o.Erasure
	case jobs.VerifyChain:
		into = &o.Chain
	case jobs.TestEvent:
		into = &o.Trial
	case jobs.ERPProbe:
		into = &o.Proof
	case jobs.ERPLookup:
		into = &o.Answers
	default:
		return nil
	}
	if err := json.Unmarshal(o.Report, into); err != nil {
		return refuse(http.StatusInternalServerError, "The report of this operation is one of another version of kvit.")
	}
	return nil
}

// operations are the newest of these kinds.
func (s *Site) operations(r *http.Request, kinds ...string) ([]operation, error) {
	list, err := store.LastOperations(r.Context(), s.Pool, kinds, 10)
	if err != nil {
		return nil, err
	}
	all := make([]operation, len(list))
	for i := range list {
		all[i] = operation{Operation: list[i]}
	}
	return all, nil
}
