package pages

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvit/config"
	"kvit/store"
	"kvit/web/access"
)

func (s *Site) shareRoutes() {
	s.read("GET /shares", s.sharesPage)
	s.read("GET /shares.csv", s.sharesCSV)
	s.operate("POST /shares", s.createShare)
	s.operate("POST /shares/{id}/revoke", s.revokeShare)
	s.public("GET /share/{token}", s.sharePage)
	s.public("GET /share/{token}/orders.csv", s.shareCSV)
}

// Bounds of a link.
const (
	day          = 24 * time.Hour
	usualShare   = 14 // days
	longestShare = 90 // days
	longestNote  = 200
)

// shareList is the page of links.
type shareList struct {
	Links        []store.ShareLink
	Destinations []string
	New          string // the address of the link that was made just now: it is shown this once
	Usual        int    // days
	Longest      int
}

func (s *Site) sharesPage(w http.ResponseWriter, r *http.Request) error {
	return s.renderShares(w, r, "")
}

func (s *Site) renderShares(w http.ResponseWriter, r *http.Request, made string) error {
	links, err := store.Shares(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	return s.render(w, r, "shares", shareList{Links: links, Destinations: s.destinationNames(), New: made, Usual: usualShare, Longest: longestShare})
}

// createShare answers with the page itself, not with a redirect to it: the link is nowhere but in this answer, also not in a session.
func (s *Site) createShare(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, "That form could not be read.")
	}
	name, note := r.PostForm.Get("destination"), strings.TrimSpace(r.PostForm.Get("note"))
	days, err := strconv.Atoi(r.PostForm.Get("days"))
	switch {
	case !slices.Contains(s.destinationNames(), name):
		return refuse(http.StatusBadRequest, "There is no such destination.")
	case note == "" || len(note) > longestNote || !plain(note):
		return refuse(http.StatusBadRequest, "Say whom the link is for, in 200 characters at most.")
	case masked(note) != note:
		return refuse(http.StatusBadRequest, "Name a company or a role, not somebody's address: others read it.")
	case err != nil || days < 1 || days > longestShare:
		return refuse(http.StatusBadRequest, "A link can be valid for 1 to 90 days.")
	}
	token := rand.Text()
	_, err = store.CreateShare(r.Context(), s.Pool, name, note, who(r.Context()), tokenSum(token), time.Duration(days)*day)
	if errors.Is(err, store.ErrNotFound) {
		return refuse(http.StatusConflict, "kvit has not run with this destination yet.")
	}
	if err != nil {
		return err
	}
	return s.renderShares(w, r, s.origin(r)+"/share/"+token)
}

func tokenSum(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// origin is the address by which browsers come here: that of the configuration, or the one by which this one came.
func (s *Site) origin(r *http.Request) string {
	if s.Config.Ops.PublicURL != "" {
		return s.Config.Ops.PublicURL
	}
	if r.TLS != nil || s.Config.Ops.TLS != nil || s.Config.Ops.BehindProxy > 0 {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (s *Site) revokeShare(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return refuse(http.StatusNotFound, "There is no such link.")
	}
	err = store.RevokeShare(r.Context(), s.Pool, id, who(r.Context()))
	if errors.Is(err, store.ErrNotFound) {
		return refuse(http.StatusConflict, "This link has ended already.")
	}
	if err != nil {
		return err
	}
	s.say(r, "The link is revoked. Whoever opens it sees nothing any more.")
	return s.see(w, r, "/shares")
}

func (s *Site) sharesCSV(w http.ResponseWriter, r *http.Request) error {
	links, err := store.Shares(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	rows := make([][]string, len(links))
	for i, l := range links {
		rows[i] = []string{l.Destination, l.Note, l.CreatedBy, csvTime(l.CreatedAt), csvTime(l.ExpiresAt), csvTime(l.RevokedAt), csvText(l.RevokedBy), csvTime(l.UsedAt)}
	}
	return writeCSV(w, "shares", []string{"destination", "for", "created_by", "created_at", "expires_at", "revoked_at", "revoked_by", "used_at"}, rows)
}

// shareView is what a link shows: of one destination, and nothing of any other.
type shareView struct {
	Destination string
	Kind        string
	Docs        string // the provider's own documentation; empty: none is known
	Expires     time.Time
	At          time.Time
	Since       time.Time // of Left and Refused
	Zone        string
	File        string
	Orders      []sharedOrder
	Left        []store.FieldLeftOut
	Refused     []store.Refusal
}

// sharedOrder is an order, and where it stands at the destination.
type sharedOrder struct {
	Ref string
	store.Cell
}

// shareWeek is how far back a link tells of what was left out and rejected.
const shareWeek = 7 * day

// sharePage is for people who are nobody here, also where the browser has logged in: no navigation, no name.
func (s *Site) sharePage(w http.ResponseWriter, r *http.Request) error {
	v, err := s.readShare(w, r)
	if err != nil {
		return err
	}
	return s.render(w, r.WithContext(access.WithUser(r.Context(), access.User{})), "share", v)
}

func (s *Site) shareCSV(w http.ResponseWriter, r *http.Request) error {
	v, err := s.readShare(w, r)
	if err != nil {
		return err
	}
	rows := make([][]string, len(v.Orders))
	for i, o := range v.Orders {
		rows[i] = []string{o.Ref, o.EventName, o.State, csvTime(o.At), strconv.Itoa(o.Attempts), csvText(o.Reason)}
	}
	return writeCSV(w, "orders", []string{"order_ref", "event", "state", "at", "attempts", "reason"}, rows)
}

func (s *Site) readShare(w http.ResponseWriter, r *http.Request) (*shareView, error) {
	w.Header().Set("X-Robots-Tag", "noindex, nofollow")
	ctx := r.Context()
	link, err := store.OpenShare(ctx, s.Pool, tokenSum(r.PathValue("token")))
	i := slices.IndexFunc(s.Config.Destinations, func(d config.Destination) bool { return d.Name == link.Destination })
	if errors.Is(err, store.ErrNotFound) || err == nil && i < 0 {
		return nil, refuse(http.StatusNotFound, "This link does not work: it has expired, was revoked, or never was one. Whoever gave it to you can make another.")
	}
	if err != nil {
		return nil, err
	}
	d := s.Config.Destinations[i]
	v := &shareView{Destination: d.Name, Kind: d.Kind, Docs: d.Docs, Expires: link.ExpiresAt, Zone: s.zone.String(), File: r.URL.EscapedPath() + "/orders.csv"}
	if v.At, err = store.Now(ctx, s.Pool); err != nil {
		return nil, err
	}
	v.Since = v.At.Add(-shareWeek)
	if v.Orders, err = s.sharedOrders(r, d.Name); err != nil {
		return nil, err
	}
	if v.Left, err = store.FieldsLeftOutOf(ctx, s.reads(), d.Name, v.Since); err != nil {
		return nil, err
	}
	v.Refused, err = store.Refusals(ctx, s.reads(), d.Name, v.Since)
	return v, err
}

func (s *Site) sharedOrders(r *http.Request, destination string) (orders []sharedOrder, err error) {
	found, err := store.ListOrders(r.Context(), s.reads(), store.OrderFilter{Destination: destination})
	if err != nil {
		return nil, err
	}
	cells, err := store.OrderCells(r.Context(), s.reads(), refsOf(found), destination)
	if err != nil {
		return nil, err
	}
	for _, c := range cells { // in the order of the references
		orders = append(orders, sharedOrder{c.OrderRef, c})
	}
	return orders, nil
}
