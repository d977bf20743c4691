// Package matomotest is a strict stand-in for Matomo: bulk tracking as its source has it, with
// parameters checked as the Tracking API documents them, orders stored once, and the one call of the
// Reporting API that tells whether the token sees the site. It can be told to fail. Tests and the demo
// use it.
package matomotest

import (
	"maps"
	"net/http"
	"net/url"
	"strings"

	"kvit/destination/destinationtest/standin"
)

// Failure is how a request goes wrong. The zero value is none.
type Failure = standin.Failure

// Server is an http.Handler. Its exported fields are set before the first request.
type Server struct {
	Superuser      bool // the token's user: only a superuser is told which requests were invalid
	RefusesRepeats bool // find an order invalid that was recorded before, instead of ignoring it
	ReportingOff   bool // the Reporting API is not there

	standin.Desk

	site, token string
	counts      Counts
	orders      map[string]Order
	carts       map[string]url.Values
	actions     []url.Values
}

// Counts are what a Server has seen.
type Counts struct {
	Requests  int // all of them
	Refused   int // of another form than bulk tracking has; see Refusals
	Invalid   int // tracking requests that were not recorded; see Refusals
	Orders    int // different order ids
	Repeats   int // of an order that was recorded before
	Carts     int // updates
	Actions   int // everything else, each as often as it was said
	Unordered int // tracking requests that were older than the one before them
}

// Order is a recorded order.
type Order struct {
	Fields url.Values // as first said
	Said   int        // how often
}

// New returns a server with one site and one token. fail, if not nil, is asked before each request,
// with 1 for the first.
func New(site, token string, fail func(n int) Failure) *Server {
	return &Server{Desk: standin.Desk{Fail: fail}, site: site, token: token, orders: map[string]Order{}, carts: map[string]url.Values{}}
}

// ServeHTTP answers a call of Matomo.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, func(status int, _ []byte) { refuse(w, status) })
}

// refuse answers as bulk tracking does where nothing was recorded.
func refuse(w http.ResponseWriter, status int) {
	standin.Answer(w, status, map[string]any{"status": "error", "tracked": 0, "invalid": 0})
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	switch {
	case req.Method == http.MethodPost && req.URL.Path == "/matomo.php" && req.URL.RawQuery == "":
		s.bulk(w, req)
	case req.Method == http.MethodPost && req.URL.Path == "/index.php" && req.URL.RawQuery == "" && !s.ReportingOff:
		s.report(w, req)
	default:
		s.Refuse("method or path")
		http.NotFound(w, req)
	}
}

// bulk takes a request as plugins/BulkTracking does.
func (s *Server) bulk(w http.ResponseWriter, req *http.Request) {
	var call struct {
		Requests  []string `json:"requests"`
		TokenAuth string   `json:"token_auth"`
	}
	body := standin.Body(req)
	if len(body) > 8<<20 || standin.Strict(body, &call) != nil || len(call.Requests) == 0 || req.Header.Get("Content-Type") != "application/json" {
		s.Refuse("body")
		refuse(w, http.StatusBadRequest)
		return
	}
	invalid := s.track(call.Requests, call.TokenAuth == s.token)
	said := map[string]any{"status": "success", "tracked": len(call.Requests) - len(invalid), "invalid": len(invalid)}
	if s.Superuser && call.TokenAuth == s.token {
		said["invalid_indices"] = invalid
	}
	standin.Answer(w, http.StatusOK, said)
}

// track records the requests, and returns the places of those that are invalid.
func (s *Server) track(requests []string, authenticated bool) []int {
	invalid, before := []int{}, int64(0)
	for i, request := range requests {
		fields, why := parse(request, s.site, authenticated)
		if why == "" && s.RefusesRepeats && s.orders[fields.Get("ec_id")].Said > 0 {
			why = "ec_id was recorded before"
		}
		if why != "" {
			s.counts.Invalid++
			s.Note(why)
			invalid = append(invalid, i)
			continue
		}
		now := seconds(fields)
		if now < before {
			s.counts.Unordered++
		}
		before = now
		s.record(fields)
	}
	return invalid
}

func (s *Server) record(fields url.Values) {
	switch {
	case fields.Get("ec_id") != "":
		order, known := s.orders[fields.Get("ec_id")]
		if known {
			s.counts.Repeats++
		} else {
			order.Fields = fields
		}
		order.Said++
		s.orders[fields.Get("ec_id")] = order
	case fields.Has("idgoal"):
		s.counts.Carts++
		s.carts[visitor(fields)] = fields
	default:
		s.actions = append(s.actions, fields)
	}
}

// visitor is whom Matomo takes it for: a user id outweighs a visitor id, which outweighs the browser.
func visitor(fields url.Values) string {
	for _, name := range []string{"uid", "cid", "_id"} {
		if value := fields.Get(name); value != "" {
			return value
		}
	}
	return fields.Get("cip") + " " + fields.Get("ua")
}

// report answers SitesManager.getSiteFromId.
func (s *Server) report(w http.ResponseWriter, req *http.Request) {
	if req.ParseForm() != nil || req.PostForm.Get("module") != "API" || req.PostForm.Get("format") != "JSON" ||
		req.PostForm.Get("method") != "SitesManager.getSiteFromId" {
		s.Refuse("method")
		standin.Answer(w, http.StatusOK, map[string]string{"result": "error", "message": "no such method"})
		return
	}
	if req.PostForm.Get("token_auth") != s.token || req.PostForm.Get("idSite") != s.site {
		standin.Answer(w, http.StatusUnauthorized, map[string]string{"result": "error", "message": "no access"})
		return
	}
	standin.Answer(w, http.StatusOK, map[string]string{"idsite": s.site, "name": "Example", "main_url": "https://shop.example.com"})
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused = s.Requests, s.Refused
	counts.Orders, counts.Actions = len(s.orders), len(s.actions)
	return counts
}

// Order returns a recorded order by its id.
func (s *Server) Order(id string) (Order, bool) { return standin.Get(&s.Desk, s.orders, id) }

// Cart returns the latest cart of a visitor, by user id or else visitor id.
func (s *Server) Cart(visitor string) (url.Values, bool) {
	s.Lock()
	defer s.Unlock()
	cart, ok := s.carts[visitor]
	return maps.Clone(cart), ok
}

// Actions returns the page views, searches and events, as often as they were recorded, where a field
// has the given value.
func (s *Server) Actions(field, value string) []url.Values {
	s.Lock()
	defer s.Unlock()
	var found []url.Values
	for _, fields := range s.actions {
		if fields.Get(field) == value {
			found = append(found, fields)
		}
	}
	return found
}

// isBlank is what Matomo takes for an empty value.
func isBlank(text string) bool { return strings.TrimSpace(text) == "" }
