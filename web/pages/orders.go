package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvit/store"
)

func (s *Site) orderRoutes() {
	s.read("GET /orders", s.ordersPage)
	s.read("GET /orders.csv", s.ordersCSV)
	s.read("GET /orders/one", s.orderPage)
	s.read("GET /orders/deliveries.csv", s.orderDeliveriesCSV)
	s.read("GET /orders/evidence.csv", s.orderEvidenceCSV)
	s.shareRoutes()
}

// orderList is the page of orders: one row an order, one column a destination.
type orderList struct {
	Filter       store.OrderFilter
	Search       string // as it is shown
	Destinations []string
	States       []string
	Columns      []string
	Rows         []orderRow
	Older        string // address of the orders before these; empty: there are none, or the list is a search
	File         string // address of the list as a file; empty: what was searched for does not belong there
	Full         bool   // there may be more
}

type orderRow struct {
	Ref      string // as it is
	Link     string // its page; empty: it has none
	NewestAt *time.Time
	Cells    []*store.Cell // by column; nil: nothing goes there
}

// ordersPage shows orders. A search that finds one thing shows that.
func (s *Site) ordersPage(w http.ResponseWriter, r *http.Request) error {
	list, err := s.readOrderList(r)
	if err != nil {
		return err
	}
	if list.Filter.Search != "" {
		if to, err := s.only(r.Context(), list); err != nil || to != "" {
			return s.seeUnless(w, r, to, err)
		}
	}
	return s.render(w, r, "orders", list)
}

func (s *Site) seeUnless(w http.ResponseWriter, r *http.Request, to string, err error) error {
	if err != nil {
		return err
	}
	return s.see(w, r, to)
}

// only is the address of the one thing that a search has found: an order, or an event that belongs to none. Empty: it is not one.
func (s *Site) only(ctx context.Context, list *orderList) (string, error) {
	if len(list.Rows) == 1 {
		return list.Rows[0].Link, nil
	}
	if len(list.Rows) > 1 {
		return "", nil
	}
	id, err := store.EventByKey(ctx, s.reads(), list.Filter.Search)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return eventLink(id), err
}

func (s *Site) readOrderList(r *http.Request) (*orderList, error) {
	f, err := orderFilter(r.URL.Query())
	if err != nil {
		return nil, err
	}
	found, err := store.ListOrders(r.Context(), s.reads(), f)
	if err != nil {
		return nil, err
	}
	cells, err := store.OrderCells(r.Context(), s.reads(), refsOf(found), f.Destination)
	if err != nil {
		return nil, err
	}
	list := &orderList{Filter: f, Search: f.Search, States: store.States, Destinations: s.destinationNames(), Full: len(found) == store.OrdersShown}
	list.Columns = columnsOf(list.Destinations, f.Destination, cells)
	list.Rows = rowsOf(found, list.Columns, cells)
	list.File = "/orders.csv?" + queryOf(f, f.Before)
	if masked(f.Search) != f.Search { // it is in the address already, but need not be in the page
		list.Search, list.File = "", ""
	}
	if list.Full && f.Search == "" {
		list.Older = "/orders?" + queryOf(f, found[len(found)-1].EventID)
	}
	return list, nil
}

// orderFilter reads the filter from an address.
func orderFilter(q url.Values) (f store.OrderFilter, err error) {
	f = store.OrderFilter{Search: strings.TrimSpace(q.Get("q")), Destination: q.Get("destination"), State: q.Get("state")}
	if f.State != "" && !slices.Contains(store.States, f.State) {
		return f, refuse(http.StatusBadRequest, "There is no such state. They are: "+strings.Join(store.States, ", ")+".")
	}
	if len(f.Search) > 1000 || !plain(f.Search) || !plain(f.Destination) {
		return f, refuse(http.StatusBadRequest, "That cannot be looked for.")
	}
	if before := q.Get("before"); before != "" {
		if f.Before, err = strconv.ParseInt(before, 10, 64); err != nil || f.Before < 1 {
			return f, refuse(http.StatusBadRequest, "before is not an event's id.")
		}
	}
	return f, nil
}

// plain tells whether Postgres takes a text.
func plain(text string) bool {
	return strings.ToValidUTF8(text, "") == text && !strings.ContainsRune(text, 0)
}

// queryOf is a filter as it stands in an address.
func queryOf(f store.OrderFilter, before int64) string {
	q := url.Values{}
	for key, value := range map[string]string{"q": f.Search, "destination": f.Destination, "state": f.State} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if before > 0 {
		q.Set("before", strconv.FormatInt(before, 10))
	}
	return q.Encode()
}

func refsOf(found []store.ListedOrder) []string {
	refs := make([]string, len(found))
	for i, o := range found {
		refs[i] = o.OrderRef
	}
	return refs
}

func (s *Site) destinationNames() []string {
	names := make([]string, len(s.Destinations))
	for i, d := range s.Destinations {
		names[i] = d.Name
	}
	return names
}

// columnsOf are the configured destinations, and others that have something to tell.
func columnsOf(configured []string, only string, cells []store.Cell) (columns []string) {
	for _, name := range configured {
		if only == "" || name == only {
			columns = append(columns, name)
		}
	}
	for _, c := range cells {
		if !slices.Contains(columns, c.Destination) {
			columns = append(columns, c.Destination)
		}
	}
	return columns
}

func rowsOf(found []store.ListedOrder, columns []string, cells []store.Cell) []orderRow {
	at := map[[2]string]*store.Cell{}
	for i := range cells {
		at[[2]string{cells[i].OrderRef, cells[i].Destination}] = &cells[i]
	}
	rows := make([]orderRow, len(found))
	for i, o := range found {
		rows[i] = orderRow{Ref: o.OrderRef, Link: orderLink(o.OrderRef, o.EventID), NewestAt: o.NewestAt}
		for _, column := range columns {
			rows[i].Cells = append(rows[i].Cells, at[[2]string{o.OrderRef, column}])
		}
	}
	return rows
}

// orderLink is the address of an order's page. One whose reference looks like somebody's address is found by an event of its: addresses
// of pages are kept in many places.
func orderLink(ref string, event int64) string {
	if masked(ref) == ref {
		return "/orders/one?ref=" + url.QueryEscape(ref)
	}
	if event == 0 {
		return ""
	}
	return eventLink(event)
}

func eventLink(id int64) string { return "/orders/one?event=" + strconv.FormatInt(id, 10) }

// ordersCSV is the same list as a file: one row an order and destination.
func (s *Site) ordersCSV(w http.ResponseWriter, r *http.Request) error {
	list, err := s.readOrderList(r)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, row := range list.Rows {
		rows = append(rows, orderLines(row)...)
	}
	return writeCSV(w, "orders", []string{"order_ref", "newest_event_at", "destination", "state", "at", "event", "attempts", "events", "delivered", "reason"}, rows)
}

func orderLines(row orderRow) (lines [][]string) {
	for _, c := range row.Cells {
		if c != nil {
			lines = append(lines, []string{row.Ref, csvTime(row.NewestAt), c.Destination, c.State, csvTime(c.At), c.EventName,
				strconv.Itoa(c.Attempts), strconv.Itoa(c.Events), strconv.Itoa(c.Delivered), csvText(c.Reason)})
		}
	}
	if lines == nil {
		lines = [][]string{{row.Ref, csvTime(row.NewestAt), "", "", "", "", "", "", "", ""}}
	}
	return lines
}

// short is the beginning of a text that is too long for a cell; the order's page has all of it.
func short(text string) string {
	const most = 90
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most]) + "…"
}

// stamp is a time with its zone as plain text.
func (s *Site) stamp(t any) string {
	at, ok := timeOf(t)
	if !ok {
		return "never"
	}
	return at.In(s.zone).Format("2 Jan 2006 15:04:05 MST")
}
