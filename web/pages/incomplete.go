package pages

import (
	"errors"
	"net/http"

	"kvit/store"
)

func (s *Site) incompleteRoutes() {
	s.read("GET /erp/incomplete.csv", s.incompleteFile)
	s.operate("POST /erp/confirm", s.confirm)
}

func (s *Site) incompleteFile(w http.ResponseWriter, r *http.Request) error {
	var page erpPage
	if err := s.readErpOrders(r, &page); err != nil {
		return err
	}
	columns := []string{"order_ref", "erp_order_number", "document_kind", "source", "seen_at", "problem", "erp_total", "total"}
	return writeFile(w, "incomplete", columns, page.Incomplete, func(o store.IncompleteOrder) []string {
		return []string{o.OrderRef, csvText(o.ERPOrderNumber), o.DocumentKind, o.Source, csvTime(o.SeenAt), csvText(o.Problem), csvText(o.ERPTotal), csvText(o.Total)}
	})
}

// confirm marks an order as imported although its evidence is incomplete: its 30 days begin.
func (s *Site) confirm(w http.ResponseWriter, r *http.Request) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	if s.Orders == nil {
		return refuse(http.StatusConflict, "shop.orders is not configured. Nothing was done.")
	}
	ref := r.PostForm.Get("order")
	err = store.ConfirmOrder(r.Context(), s.Pool, *s.Orders, store.Confirmation{OrderRef: ref, Reason: reason, By: who(r.Context())})
	for _, known := range []error{store.ErrNoSuchOrder, store.ErrErased, store.ErrImported, store.ErrNothingToConfirm} {
		if errors.Is(err, known) {
			return refuse(http.StatusConflict, "Order "+masked(ref)+": "+known.Error()+". Nothing was done.")
		}
	}
	if err != nil {
		return err
	}
	s.say(r, "Order "+masked(ref)+" is confirmed: it is marked as imported now, and its 30 days begin.")
	return s.see(w, r, "/erp#incomplete")
}
