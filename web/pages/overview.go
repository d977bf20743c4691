package pages

import (
	"net/http"

	"kvit/store"
)

func (s *Site) overviewRoutes() {
	s.read("GET /{$}", s.overview)
}

type overview struct {
	Destinations []store.DestinationStatus
}

func (s *Site) overview(w http.ResponseWriter, r *http.Request) error {
	var o overview
	var err error
	if o.Destinations, err = store.DestinationStatuses(r.Context(), s.Pool); err != nil {
		return err
	}
	return s.render(w, r, "overview", o)
}
