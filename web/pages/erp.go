package pages

import (
	"net/http"
	"slices"
	"strings"

	"kvit/config"
	"kvit/jobs"
	"kvit/store"
)

func (s *Site) erpRoutes() {
	s.read("GET /erp", s.erp)
	s.operate("POST /erp/{name}/probe", s.probe)
	s.operate("POST /erp/{name}/lookup", s.lookup)
}

// listed is how many orders the lists of a page show.
const listed = 100

type erpCard struct {
	store.ERPSourceStatus
	Watermarks []store.Watermark
	MayAsk     bool // this kvit asks it
}

// Fails tells whether the last attempt failed.
func (e erpCard) Fails() bool { return e.Enabled && e.Failures > 0 && e.LastError != nil }

type erpPage struct {
	Sources    []erpCard
	Misfits    []string
	HasOrders  bool
	Awaiting   []store.AwaitingOrder
	Incomplete []store.IncompleteOrder
	Conflicts  []store.ConflictingReceipt
	Asked      []operation
	Listed     int
}

func (s *Site) erp(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	page := erpPage{Listed: listed, HasOrders: s.Orders != nil}
	sources, err := store.ERPSources(ctx, s.Pool)
	if err != nil {
		return err
	}
	marks, err := store.ERPWatermarks(ctx, s.Pool)
	if err != nil {
		return err
	}
	for _, source := range sources {
		card := erpCard{ERPSourceStatus: source, MayAsk: s.asks(source.Name)}
		for _, m := range marks {
			if m.Source == source.Name {
				card.Watermarks = append(card.Watermarks, m)
			}
		}
		page.Sources = append(page.Sources, card)
	}
	if err := s.readErpOrders(r, &page); err != nil {
		return err
	}
	if page.Asked, err = s.operations(r, jobs.ERPProbe, jobs.ERPLookup); err != nil {
		return err
	}
	return s.render(w, r, "erp", page)
}

// readErpOrders says nothing of orders that cannot be read, but why.
func (s *Site) readErpOrders(r *http.Request, page *erpPage) (err error) {
	if s.Orders == nil {
		return nil
	}
	ctx := r.Context()
	if page.Misfits, err = store.ShopMisfits(ctx, s.Pool, *s.Orders); err != nil || len(page.Misfits) > 0 {
		return err
	}
	if page.Awaiting, err = store.AwaitingOrders(ctx, s.Pool, *s.Orders, listed); err != nil {
		return err
	}
	if page.Incomplete, err = store.IncompleteOrders(ctx, s.Pool, *s.Orders, listed); err != nil {
		return err
	}
	page.Conflicts, err = store.ConflictingReceipts(ctx, s.Pool, listed)
	return err
}

// asks tells whether this kvit asks an ERP.
func (s *Site) asks(name string) bool {
	return slices.ContainsFunc(s.Config.ERPs, func(e config.ERP) bool { return e.Name == name && e.Enabled })
}

func (s *Site) probe(w http.ResponseWriter, r *http.Request) error {
	return s.ask(w, r, store.NewOperation{Kind: jobs.ERPProbe})
}

// asked is how many orders one lookup asks for.
const asked = 20

func (s *Site) lookup(w http.ResponseWriter, r *http.Request) error {
	refs := strings.Fields(r.FormValue("refs"))
	switch {
	case len(refs) == 0:
		return refuse(http.StatusBadRequest, "Name at least one order by the shop's reference. Nothing was done.")
	case len(refs) > asked:
		return refuse(http.StatusBadRequest, "A lookup takes 20 orders. Nothing was done.")
	case slices.ContainsFunc(refs, func(ref string) bool { return len(ref) > 100 || strings.Contains(ref, "@") }):
		return refuse(http.StatusBadRequest, "One of these is no reference of an order. Nothing was done.")
	}
	return s.ask(w, r, store.NewOperation{Kind: jobs.ERPLookup, Request: jobs.Lookup{OrderRefs: refs}})
}

func (s *Site) ask(w http.ResponseWriter, r *http.Request, o store.NewOperation) (err error) {
	if o.Reason, err = reasonOf(r); err != nil {
		return err
	}
	if o.Subject = r.PathValue("name"); !s.asks(o.Subject) {
		return refuse(http.StatusConflict, "This kvit does not ask that ERP. Nothing was done.")
	}
	return s.request(w, r, o)
}
