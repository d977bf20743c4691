package web

import "net/http"

// Door is by what somebody gets in at an address.
type Door string

// Doors. Behind each stands who looks at requests; a test walks all addresses and tries to get in without.
const (
	Open     Door = "open"     // whoever reaches the port: it only tells, and nothing personal
	Token    Door = "token"    // programs that show a token of the configuration
	Notified Door = "notified" // an ERP that shows what it was told at its subscription
	Loopback Door = "loopback" // this machine, and no page in a browser of it
	Login    Door = "login"    // people: the pages have their own guard, and list of addresses
)

// Route is an address that is served.
type Route struct {
	Pattern string // as net/http has it: "GET /metrics"
	Door    Door
}

// Router serves addresses and knows all of them: nothing else in kvit registers one.
type Router struct {
	mux    *http.ServeMux
	routes []Route
}

func newRouter() *Router { return &Router{mux: http.NewServeMux()} }

func (r *Router) handle(door Door, pattern string, h http.Handler) {
	r.routes = append(r.routes, Route{Pattern: pattern, Door: door})
	r.mux.Handle(pattern, h)
}

// Routes lists every address.
func (r *Router) Routes() []Route { return r.routes }

// ServeHTTP answers a request.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.mux.ServeHTTP(w, req) }
