package spreadtest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"kvit/destination/destinationtest/standin"
)

// account takes CreateAccount and UpdateAccount. An update of somebody unknown makes the profile.
func (s *Server) account(f fields, create bool) refusal {
	if refused := f.check(); refused.status != 0 {
		return refused
	}
	if _, exists := s.profiles[f.identity()]; exists && create {
		return refusal{http.StatusConflict, "the profile exists"}
	}
	s.keepProfile(f)
	return refusal{}
}

// order takes CreateOrder and UpdateOrder.
func (s *Server) order(f fields, create bool) refusal {
	if refused := f.check(); refused.status != 0 {
		return refused
	}
	if refused := f.checkOrder(); refused.status != 0 {
		return refused
	}
	ref := f["data[order_idorder]"]
	order, exists := s.orders[ref]
	switch {
	case exists && create:
		return refusal{http.StatusConflict, "the order exists"}
	case !exists && !create:
		return refusal{http.StatusNotFound, "there is no such order"}
	}
	s.keepProfile(f)
	s.orders[ref] = s.move(order, f)
	return refusal{}
}

func (f fields) identity() string {
	if id := f["data[external_id]"]; id != "" {
		return id
	}
	return f["data[customer_email]"]
}

func (s *Server) keepProfile(f fields) {
	old := s.profiles[f.identity()]
	profile := Profile{
		Fields: copied(old.Fields), Consents: copied(old.Consents), Custom: copied(old.Custom),
		Tags: slices.Clone(old.Tags), Actions: slices.Clone(old.Actions), Calls: old.Calls + 1,
	}
	for key, value := range f {
		if name, ok := strings.CutPrefix(key, "data[customer_"); ok {
			profile.Fields["customer_"+strings.TrimSuffix(name, "]")] = value
		}
	}
	maps.Copy(profile.Consents, f.below("consents"))
	maps.Copy(profile.Custom, f.below("custom_fields"))
	for _, tag := range f.list("add_tag") {
		if !slices.Contains(profile.Tags, tag) {
			profile.Tags = append(profile.Tags, tag)
		}
	}
	if action := f["data[action]"]; action != "" {
		profile.Actions = append(profile.Actions, action)
	}
	s.profiles[f.identity()] = profile
}

// move returns the order as the call says it is. What was handed out is not changed.
func (s *Server) move(order Order, f fields) Order {
	state := f["data[order_state]"]
	if order.Said[state] > 0 {
		s.counts.Repeats++
	}
	if rank(state) < rank(order.State) {
		s.counts.Lowered++
	}
	said := map[string]int{}
	maps.Copy(said, order.Said)
	said[state]++
	order.Said, order.State, order.Customer = said, state, f.identity()
	if amount := f["data[order_amount]"]; amount != "" {
		order.Amount = amount
	}
	if date := f["data[date]"]; date != "" {
		order.Date = date
	}
	order.Tags = append(slices.Clone(order.Tags), f.list("add_order_tag")...)
	return order
}

// rank orders the states: cancelled, 0, is the last.
func rank(state string) int {
	if state == "0" {
		return 100
	}
	n, _ := strconv.Atoi(state) // no state yet is 0
	return n
}

func (s *Server) trigger(f fields) refusal {
	id, refused := f.cart()
	if refused.status != 0 {
		return refused
	}
	s.carts[id] = Cart{Email: f["customerEmail"], Fields: f, Calls: s.carts[id].Calls + 1}
	return refusal{}
}

func (s *Server) stop(f fields) refusal {
	id, refused := f.cart()
	if refused.status != 0 {
		return refused
	}
	delete(s.carts, id)
	return refusal{}
}

func (f fields) cart() (string, refusal) {
	if f["key[cartId]"] == "" || !emails.MatchString(f["customerEmail"]) {
		return "", refusal{http.StatusUnprocessableEntity, "key or customerEmail is missing"}
	}
	return f["key[cartId]"], refusal{}
}

func copied(m map[string]string) map[string]string {
	c := map[string]string{}
	maps.Copy(c, m)
	return c
}

func (s *Server) readConsents(w http.ResponseWriter, _ *http.Request) {
	var consents []map[string]string
	for i, name := range []string{"NewsEmail", "NewsSMS", "LegalBasisOptin", "LegalBasisOrder"} {
		consents = append(consents, map[string]string{"id": strconv.Itoa(i + 1), "techName": name})
	}
	standin.Answer(w, http.StatusOK, map[string]any{"consents": consents, "count": len(consents)})
}

func (s *Server) readOrders(w http.ResponseWriter, _ *http.Request) {
	var orders []map[string]any
	for _, ref := range slices.Sorted(maps.Keys(s.orders)) {
		orders = append(orders, s.orders[ref].asRead(ref))
	}
	standin.Answer(w, http.StatusOK, map[string]any{"orders": orders, "count": len(orders)})
}

func (s *Server) readOrder(w http.ResponseWriter, req *http.Request) {
	order, ok := s.orders[req.PathValue("ref")]
	if !ok {
		standin.Answer(w, http.StatusNotFound, map[string]string{"error": "there is no such order"})
		return
	}
	standin.Answer(w, http.StatusOK, map[string]any{"order": order.asRead(req.PathValue("ref"))})
}

func (o Order) asRead(ref string) map[string]any {
	return map[string]any{"orderId": ref, "amount": o.Amount, "status": o.State, "createdAt": o.Date, "tags": o.Tags}
}
