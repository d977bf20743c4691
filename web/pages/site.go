// Package pages is what operators see of kvit in a browser: rendered by the server, readable without JavaScript, and free of
// personal data.
package pages

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"riverqueue.com/riverui"

	"kvit/config"
	"kvit/delivery"
	"kvit/erasure"
	"kvit/store"
	"kvit/watch"
	"kvit/web/access"
)

// Options are what the pages tell of, and act on.
type Options struct {
	Pool         *pgxpool.Pool
	Reads        *store.Reads // where lists and numbers are read; nil: in Pool
	Config       config.Config
	Orders       *store.Orders // nil: shop.orders is not configured
	Destinations []Destination // as configured, by name
	Eraser       *erasure.Eraser
	River        *river.Client[pgx.Tx]
	Guard        *access.Guard
	Grace        func(now time.Time) time.Duration  // how long after its due date an erasure is overdue
	Watch        *watch.Watch                       // of this process's clock; nil: the alarms say nothing of clocks
	Anchor       func(ctx context.Context) []string // what is wrong with the file of retention.anchor; nil: there is none
	Since        time.Time                          // when this process began; zero: long ago
	Logger       *slog.Logger
}

// Destination is one of the configuration.
type Destination struct {
	Name    string
	Kind    string
	Enabled bool
	Lane    *delivery.Settings // nil: it is not enabled
}

// Site is all pages.
type Site struct {
	Options
	zone   *time.Location
	mux    *http.ServeMux
	views  views
	routes []Route

	riverUI   *riverui.Handler // nil: there is none
	overviews overviewCache
}

// Route is one of the site's addresses, and who may use it.
type Route struct {
	Pattern string // as net/http has it: "GET /orders"
	Role    access.Role
}

// handler answers a request; its error becomes a page. refuse makes errors that say what is wrong, all others are logged and shown as
// a reference number.
type handler func(w http.ResponseWriter, r *http.Request) error

// New makes the pages.
func New(o Options) (*Site, error) {
	zone, err := time.LoadLocation(o.Config.Retention.TimeZone)
	if err != nil {
		return nil, err
	}
	s := &Site{Options: o, zone: zone, mux: http.NewServeMux()}
	if s.views, err = s.parseViews(); err != nil {
		return nil, err
	}
	s.accessRoutes()
	s.overviewRoutes()
	s.actionRoutes()
	s.orderRoutes()
	if err := s.riverRoutes(); err != nil {
		return nil, err
	}
	return s, nil
}

// Handler is the site behind its guard.
func (s *Site) Handler() http.Handler { return s.Guard.Wrap(http.HandlerFunc(s.serve)) }

// Routes lists every address of the site.
func (s *Site) Routes() []Route { return s.routes }

// read adds a page that everybody sees who has logged in. The pattern begins with GET.
func (s *Site) read(pattern string, h handler) { s.route(access.Read, "GET ", pattern, h) }

// operate adds an action. The pattern begins with POST; the answer is a redirect by see, where it has worked.
func (s *Site) operate(pattern string, h handler) { s.route(access.Operate, "POST ", pattern, h) }

// public adds a page that wants no login: whoever has its address sees it.
func (s *Site) public(pattern string, h handler) { s.route(access.Nobody, "GET ", pattern, h) }

func (s *Site) route(role access.Role, method, pattern string, h handler) {
	if !strings.HasPrefix(pattern, method) {
		panic("pages: " + pattern + " must begin with " + method)
	}
	s.add(Route{Pattern: pattern, Role: role}, h)
}

func (s *Site) add(route Route, h handler) {
	s.routes = append(s.routes, route)
	s.mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
		if access.UserOf(r.Context()).Role < route.Role {
			s.fail(w, r, s.notAllowed(r))
			return
		}
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// serve tells nobody who has not logged in which addresses there are.
func (s *Site) serve(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	if !access.UserOf(r.Context()).LoggedIn() {
		s.fail(w, r, s.notAllowed(r))
		return
	}
	s.fail(w, r, refuse(http.StatusNotFound, "There is no such page."))
}

// maxForm is far above any form of the pages, in bytes.
const maxForm = 256 << 10

// notAllowed is what somebody is told who may not do this: to log in, or that his role is not enough.
func (s *Site) notAllowed(r *http.Request) error {
	switch {
	case access.UserOf(r.Context()).LoggedIn():
		return refuse(http.StatusForbidden, "This needs a user with the role operate, and yours is read.")
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return toLogin{}
	default:
		return refuse(http.StatusUnauthorized, "You are not logged in, or no longer. Nothing was done.")
	}
}

// reads is where pages read that decide nothing: what they show may be a moment old.
func (s *Site) reads() store.DB {
	if s.Reads == nil {
		return s.Pool
	}
	return s.Reads.Pool
}

// say keeps a sentence that the next page shows once.
func (s *Site) say(r *http.Request, sentence string) { s.Guard.Say(r.Context(), sentence) }

// see sends the browser to a page of the site after an action.
func (s *Site) see(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther) //nolint:gosec // a page of this site, or ownPath of what a form gave
	return nil
}

// who is the user's name, for the audit.
func who(ctx context.Context) string { return access.UserOf(ctx).Name }
