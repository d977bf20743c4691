package pages

import (
	"context"
	"fmt"
	"net/http"

	"riverqueue.com/riverui"

	"kvit/web/access"
)

// riverPath is where River UI is.
const riverPath = "/river"

// riverPolicy is the Content-Security-Policy of River UI alone, which sets styles within its pages.
const riverPolicy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
	"object-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// riverReads is shown by River UI whenever one of its buttons was pressed.
const riverReads = "River UI only shows here: kvit's own pages try deliveries again, with a reason."

func (s *Site) riverRoutes() error {
	if s.River == nil {
		return nil
	}
	ui, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(s.River, nil), Logger: s.Logger, Prefix: riverPath,
	})
	if err != nil {
		return fmt.Errorf("make River UI: %w", err)
	}
	s.riverUI = ui
	s.add(Route{Pattern: riverPath + "/", Role: access.Read}, s.river)
	return nil
}

// Start begins what River UI keeps fresh in the background, and asks the provider of the login who it is; it ends with ctx.
func (s *Site) Start(ctx context.Context) error {
	s.Guard.Start(ctx)
	if s.riverUI == nil {
		return nil
	}
	if err := s.riverUI.Start(ctx); err != nil {
		return fmt.Errorf("start River UI: %w", err)
	}
	return nil
}

// river lets nobody change a job past kvit, whatever a version of River UI adds: a delivery's job is its only trace, and a
// retry there has no reason and no audit. Only methods that read get through.
func (s *Site) river(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, riverReads, http.StatusForbidden)
		return nil
	}
	w.Header().Set("Content-Security-Policy", riverPolicy)
	s.riverUI.ServeHTTP(w, r)
	return nil
}
