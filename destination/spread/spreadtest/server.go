// Package spreadtest is a strict stand-in for SPREAD: it checks credentials, encoding and fields, and
// keeps what it was told. Where SPREAD's own behaviour is not documented (docs/destinations/spread.md)
// it takes the harsher reading: what is created twice is answered with 409. It can be told to fail.
// Tests and the demo use it.
package spreadtest

import (
	"net/http"

	"kvit/destination/destinationtest/standin"
)

// Failure is how a request goes wrong. The zero value is none.
type Failure = standin.Failure

// Server is an http.Handler.
type Server struct {
	standin.Desk

	publicKey, privateKey string
	mux                   *http.ServeMux
	counts                Counts
	profiles              map[string]Profile
	orders                map[string]Order
	carts                 map[string]Cart
}

// Counts are what a Server has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // wrong key, encoding or fields; see Refusals
	Profiles int
	Orders   int // different references
	Repeats  int // an order was said again to be in a state that was said before
	Lowered  int // an order was said to be in a state that it had left
	Carts    int // automations that run
}

// Profile is a person, by external id if there is one, else by e-mail.
type Profile struct {
	Fields   map[string]string // customer_name and so on
	Consents map[string]string // 1 or 0 by technical name
	Custom   map[string]string // by the field's id
	Tags     []string
	Actions  []string // signup, order, newsletter, in the order of the calls
	Calls    int
}

// Order is an order, by its reference.
type Order struct {
	Customer string // the profile
	State    string
	Amount   string
	Date     string
	Tags     []string
	Said     map[string]int // how often each state was said
}

// Cart is an automation that runs, by its key.
type Cart struct {
	Email  string
	Fields map[string]string
	Calls  int
}

// New returns a server for one account. fail, if not nil, is asked before each request, with 1 for
// the first.
func New(publicKey, privateKey string, fail func(n int) Failure) *Server {
	s := &Server{
		Desk: standin.Desk{Fail: fail}, publicKey: publicKey, privateKey: privateKey, mux: http.NewServeMux(),
		profiles: map[string]Profile{}, orders: map[string]Order{}, carts: map[string]Cart{},
	}
	s.mux.HandleFunc("POST /api/CreateAccount", s.form(func(f fields) refusal { return s.account(f, true) }))
	s.mux.HandleFunc("POST /api/UpdateAccount", s.form(func(f fields) refusal { return s.account(f, false) }))
	s.mux.HandleFunc("POST /api/CreateOrder", s.form(func(f fields) refusal { return s.order(f, true) }))
	s.mux.HandleFunc("POST /api/UpdateOrder", s.form(func(f fields) refusal { return s.order(f, false) }))
	s.mux.HandleFunc("POST /api/v3/automations/trigger/{name}", s.form(s.trigger))
	s.mux.HandleFunc("POST /api/v3/automations/stop/{name}", s.form(s.stop))
	s.mux.HandleFunc("GET /api/v2/consents", s.readConsents)
	s.mux.HandleFunc("GET /api/v2/orders", s.readOrders)
	s.mux.HandleFunc("GET /api/v2/orders/{ref}", s.readOrder)
	return s
}

// ServeHTTP answers a call of SPREAD's API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, func(status int, echo []byte) {
		standin.Answer(w, status, map[string]string{"error": "failing as told " + string(echo)})
	})
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	public, private, _ := req.BasicAuth()
	if !standin.IsSecret(public+":"+private, s.publicKey+":"+s.privateKey) {
		s.refuse(w, refusal{http.StatusUnauthorized, "wrong key"})
		return
	}
	s.mux.ServeHTTP(w, req)
}

// form reads a form-encoded call and answers what take says of it.
func (s *Server) form(take func(fields) refusal) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		f, refused := readFields(req)
		if refused.status == 0 {
			refused = take(f)
		}
		if refused.status != 0 {
			s.refuse(w, refused)
			return
		}
		standin.Answer(w, http.StatusOK, map[string]any{"datas": map[string]string{"status": "ok"}})
	}
}

// refusal is why a call is not taken; the zero value is none.
type refusal struct {
	status int
	reason string // names fields, never values
}

func (s *Server) refuse(w http.ResponseWriter, why refusal) {
	if why.status != http.StatusConflict { // the client may ask that way whether something is known
		s.Refuse(why.reason)
	}
	standin.Answer(w, why.status, map[string]string{"error": why.reason})
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused = s.Requests, s.Refused
	counts.Profiles, counts.Orders, counts.Carts = len(s.profiles), len(s.orders), len(s.carts)
	return counts
}

// Profile returns a person by external id or e-mail.
func (s *Server) Profile(id string) (Profile, bool) { return standin.Get(&s.Desk, s.profiles, id) }

// Order returns an order by its reference.
func (s *Server) Order(ref string) (Order, bool) { return standin.Get(&s.Desk, s.orders, ref) }

// Cart returns a running automation by its cart id.
func (s *Server) Cart(id string) (Cart, bool) { return standin.Get(&s.Desk, s.carts, id) }
