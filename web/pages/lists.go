package pages

import (
	"net/http"
	"strconv"
	"strings"

	"kvit/store"
)

// listRoutes are the files of the lists on pages that act.
func (s *Site) listRoutes() {
	s.read("GET /destinations.csv", s.destinationsFile)
	s.read("GET /erp/sources.csv", s.sourcesFile)
	s.read("GET /erp/waiting.csv", s.waitingFile)
	s.read("GET /erp/conflicts.csv", s.conflictsFile)
	s.read("GET /erasure/runs.csv", s.runsFile)
	s.read("GET /erasure/holds.csv", s.holdsFile)
	s.read("GET /erasure/tasks.csv", s.tasksFile)
	s.read("GET /erasure/residue.csv", s.residueFile)
	s.read("GET /erasure/certificates.csv", s.certificatesFile)
}

// filed is how many lines a file of certificates has at most.
const filed = 1000

func (s *Site) destinationsFile(w http.ResponseWriter, r *http.Request) error {
	list, err := store.DestinationStatuses(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	columns := []string{"destination", "kind", "enabled", "removed_at", "paused_at", "paused_by", "paused_reason", "disabled_reason", "held_until", "held_reason", "pending", "pending_is_exact", "oldest_pending", "lost"}
	return writeFile(w, "destinations", columns, list, func(d store.DestinationStatus) []string {
		return []string{
			d.Name, d.Kind, strconv.FormatBool(d.Enabled), csvTime(d.RemovedAt), csvTime(d.PausedAt), csvText(d.PausedBy), csvText(d.PausedReason), csvText(d.DisabledReason),
			csvTime(d.HeldUntil), csvText(d.HeldReason), strconv.FormatInt(d.Pending, 10), strconv.FormatBool(d.PendingExact), csvTime(d.OldestPending), strconv.FormatInt(d.Lost, 10),
		}
	})
}

func (s *Site) sourcesFile(w http.ResponseWriter, r *http.Request) error {
	list, err := store.ERPSources(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	columns := []string{"source", "kind", "enabled", "silent", "last_success_at", "failures", "last_error_at", "last_error", "warning", "calls_today"}
	return writeFile(w, "erps", columns, list, func(e store.ERPSourceStatus) []string {
		return []string{
			e.Name, e.Kind, strconv.FormatBool(e.Enabled), strconv.FormatBool(e.Silent), csvTime(e.LastSuccessAt), strconv.Itoa(e.Failures),
			csvTime(e.LastErrorAt), csvText(e.LastError), csvText(e.Warning), strconv.FormatInt(int64(e.Calls), 10),
		}
	})
}

func (s *Site) waitingFile(w http.ResponseWriter, r *http.Request) error {
	var page erpPage
	if err := s.readErpOrders(r, &page); err != nil {
		return err
	}
	return writeFile(w, "waiting", []string{"order_ref", "placed_at", "late"}, page.Awaiting, func(o store.AwaitingOrder) []string {
		return []string{o.Ref, csvTime(o.PlacedAt), strconv.FormatBool(o.Late)}
	})
}

func (s *Site) conflictsFile(w http.ResponseWriter, r *http.Request) error {
	var page erpPage
	if err := s.readErpOrders(r, &page); err != nil {
		return err
	}
	return writeFile(w, "conflicts", []string{"order_ref", "erp_order_number", "first_number", "source", "seen_at"}, page.Conflicts, func(c store.ConflictingReceipt) []string {
		return []string{c.OrderRef, csvText(c.ERPOrderNumber), csvText(c.FirstNumber), c.Source, csvTime(c.SeenAt)}
	})
}

func (s *Site) runsFile(w http.ResponseWriter, r *http.Request) error {
	list, err := store.LastErasureRuns(r.Context(), s.Pool, runsShown)
	if err != nil {
		return err
	}
	return writeFile(w, "runs", []string{"started_at", "finished_at", "orders", "events", "problem"}, list, func(run store.ErasureRun) []string {
		return []string{csvTime(run.StartedAt), csvTime(run.FinishedAt), strconv.Itoa(run.Orders), strconv.Itoa(run.Events), csvText(run.Problem)}
	})
}

func (s *Site) holdsFile(w http.ResponseWriter, r *http.Request) error {
	list, err := store.Holds(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	return writeFile(w, "holds", []string{"order_ref", "placed_at", "expires_at", "placed_by", "reason"}, list, func(h store.Hold) []string {
		return []string{h.OrderRef, csvTime(h.PlacedAt), csvTime(h.ExpiresAt), h.PlacedBy, h.Reason}
	})
}

func (s *Site) tasksFile(w http.ResponseWriter, r *http.Request) error {
	list, err := store.Tasks(r.Context(), s.Pool, false)
	if err != nil {
		return err
	}
	return writeFile(w, "tasks", []string{"task", "reference", "destination", "created_at", "orders", "problem"}, list, func(t store.Task) []string {
		return []string{strconv.FormatInt(t.ID, 10), t.Reference, t.Destination, csvTime(t.CreatedAt), strings.Join(t.OrderRefs, " "), csvText(t.Problem)}
	})
}

func (s *Site) residueFile(w http.ResponseWriter, r *http.Request) error {
	list, err := store.OpenResidues(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	return writeFile(w, "residue", []string{"table", "column", "rows", "orders", "found_at", "last_seen_at"}, list, func(d store.ResidueStatus) []string {
		return []string{d.Table, d.Column, strconv.FormatInt(d.Rows, 10), strings.Join(d.OrderRefs, " "), csvTime(d.FoundAt), csvTime(d.LastSeenAt)}
	})
}

func (s *Site) certificatesFile(w http.ResponseWriter, r *http.Request) error {
	list, err := store.LastCertificates(r.Context(), s.Pool, 0, r.FormValue("order"), filed)
	if err != nil {
		return err
	}
	return writeFile(w, "certificates", []string{"number", "order_ref", "erased_at", "clock", "erp_order_number", "hash"}, list, func(c store.Certificate) []string {
		return []string{strconv.FormatInt(c.Number, 10), c.OrderRef, csvTime(c.ErasedAt), c.Clock, csvText(c.ERPOrderNumber), c.Hash}
	})
}

// writeFile is writeCSV of a list.
func writeFile[T any](w http.ResponseWriter, name string, columns []string, list []T, row func(T) []string) error {
	rows := make([][]string, len(list))
	for i, one := range list {
		rows[i] = row(one)
	}
	return writeCSV(w, name, columns, rows)
}
