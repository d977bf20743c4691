// Package odatatest is a stand-in of ERPs that speak OData, for tests and the demo. It is as strict as the dialect that it
// speaks: filters are evaluated, and what the ERP would refuse is refused.
package odatatest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Dialect is how an ERP speaks.
type Dialect struct {
	Root       string // path of the company as it stands in the address, such as /api/v2.0/companies(7dbb…)
	V3         bool   // literals of OData 3, and its name of the next link
	Tokens     bool   // /token gives tokens for client and secret; else Basic with these
	User       string
	Secret     string
	Company    Row    // the company's own record; nil: it has none
	Companies  string // path of the list of companies; empty: the record is at Root
	Sparse     bool   // null is left out
	OneField   bool   // "or" between conditions on several fields is refused
	FormatJSON bool   // without $format=json the answer is XML
	Upper      string // the field whose values are kept in upper case and without blanks around them
	Changed    string // the field with the time of change; empty: there is none
	Zoneless   bool   // times have no zone
}

// Row is one document.
type Row map[string]any

// Server is the stand-in. Its exported switches may be set while nobody asks.
type Server struct {
	Dialect

	mu          sync.Mutex
	collections map[string][]Row
	requests    int
	token       string
	tokens      int
	fail        failure
	page        int

	subscriptions []subscription

	relative bool

	// Deviations from what one would expect.
	Prefixes, Unfiltered, HTML, Garbage, Repeats, Elsewhere, Redirects, Refuses, Empty bool
}

type failure struct {
	after, times, status int
	header               http.Header
}

// New returns a stand-in with empty collections of these names.
func New(d Dialect, collections ...string) *Server {
	s := &Server{Dialect: d, collections: map[string][]Row{}, page: 1000}
	for _, name := range collections {
		s.collections[name] = []Row{}
	}
	return s
}

// Put adds a row.
func (s *Server) Put(collection string, r Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text, ok := r[s.Upper].(string); ok {
		r[s.Upper] = strings.ToUpper(strings.TrimSpace(text))
	}
	s.collections[collection] = append(s.collections[collection], r)
}

// Remove takes rows away.
func (s *Server) Remove(collection, field, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collections[collection] = slices.DeleteFunc(s.collections[collection], func(r Row) bool { return fmt.Sprint(r[field]) == value })
}

// Fail makes requests for documents fail: so many, after so many.
func (s *Server) Fail(after, times, status int, header http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = failure{after, times, status, header}
}

// Page makes pages have so many rows, and next links relative.
func (s *Server) Page(rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page, s.relative = rows, true
}

// LoseToken makes the token that is in use unknown.
func (s *Server) LoseToken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = ""
}

// Requests counts those that were made.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// refusal is an answer with an error.
type refusal struct {
	status  int
	code    string
	message string
}

func (r *refusal) Error() string { return r.message }

func refuse(status int, code, message string) *refusal { return &refusal{status, code, message} }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.Tokens && r.URL.Path == "/token" {
		s.giveToken(w, r)
		return
	}
	if refused := s.admit(w, r); refused != nil {
		writeJSON(w, refused.status, map[string]any{"error": map[string]any{"code": refused.code, "message": refused.message}})
		return
	}
	if s.deviates(w, r) || s.Tokens && s.subscribe(w, r) {
		return
	}
	answer, refused := s.answer(r)
	if refused != nil {
		writeJSON(w, refused.status, map[string]any{"error": map[string]any{"code": refused.code, "message": refused.message}})
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func (s *Server) giveToken(w http.ResponseWriter, r *http.Request) {
	if s.Refuses || r.Method != http.MethodPost || r.FormValue("grant_type") != "client_credentials" || r.FormValue("client_id") != s.User || r.FormValue("client_secret") != s.Secret {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_client"})
		return
	}
	s.tokens++
	s.token = "token-" + strconv.Itoa(s.tokens)
	writeJSON(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": s.token})
}

func (s *Server) admit(w http.ResponseWriter, r *http.Request) *refusal {
	if s.fail.times > 0 {
		if s.fail.after > 0 {
			s.fail.after--
		} else {
			s.fail.times--
			for name, values := range s.fail.header {
				w.Header()[name] = values
			}
			return refuse(s.fail.status, "Internal_Fault", "fault that the test wants, of "+r.URL.RawQuery)
		}
	}
	if s.Refuses || !s.authorized(r) {
		return refuse(http.StatusUnauthorized, "Authentication_InvalidCredentials", "The server has rejected the client credentials.")
	}
	if r.Method != http.MethodGet && !strings.HasPrefix(r.URL.Path, "/api/v2.0/subscriptions") {
		return refuse(http.StatusMethodNotAllowed, "BadRequest_MethodNotAllowed", "method")
	}
	return nil
}

func (s *Server) authorized(r *http.Request) bool {
	if s.Tokens {
		return s.token != "" && r.Header.Get("Authorization") == "Bearer "+s.token
	}
	user, secret, ok := r.BasicAuth()
	return ok && user == s.User && secret == s.Secret
}

func (s *Server) deviates(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case s.Redirects:
		http.Redirect(w, r, "https://elsewhere.example.com"+r.URL.Path, http.StatusFound)
	case s.HTML:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!DOCTYPE html><title>Sign in</title>")
	case s.Garbage:
		fmt.Fprint(w, `{"value":[{"number":"1`)
	case s.FormatJSON && r.URL.Query().Get("$format") != "json", !strings.Contains(r.Header.Get("Accept"), "json"):
		fmt.Fprint(w, `<?xml version="1.0"?><feed/>`)
	default:
		return false
	}
	return true
}

// answer finds what the address names. A blank written as + and an option whose dollar is escaped are refused, as real servers do.
func (s *Server) answer(r *http.Request) (any, *refusal) {
	if strings.Contains(r.URL.RawQuery, "+") || strings.Contains(strings.ToLower(r.URL.RawQuery), "%24filter") {
		return nil, refuse(http.StatusBadRequest, "BadRequest", "the query is not written as it should be")
	}
	root, _ := url.PathUnescape(s.Root)
	switch {
	case s.Companies != "" && r.URL.Path == s.Companies:
		return map[string]any{"value": []Row{s.company()}}, nil
	case s.Companies == "" && s.Company != nil && r.URL.Path == root:
		return s.company(), nil
	}
	name, below := strings.CutPrefix(r.URL.Path, root+"/")
	rows, there := s.collections[name]
	if !below || !there {
		return nil, refuse(http.StatusNotFound, "BadRequest_NotFound", "No HTTP resource was found that matches the request URI.")
	}
	if s.Empty {
		rows = nil
	}
	return s.query(r, rows)
}

func (s *Server) company() Row {
	if s.Empty {
		return Row{"id": "00000000-0000-0000-0000-000000000000", "name": "Another", "Name": "Another"}
	}
	return s.Company
}

var options = []string{"$filter", "$select", "$expand", "$orderby", "$top", "$format", "$skiptoken"}

func (s *Server) query(r *http.Request, rows []Row) (any, *refusal) {
	q := r.URL.Query()
	for name := range q {
		if !slices.Contains(options, name) {
			return nil, refuse(http.StatusBadRequest, "BadRequest", "unknown option "+name)
		}
	}
	rows, refused := s.filtered(rows, q.Get("$filter"))
	if refused != nil {
		return nil, refused
	}
	if by := q.Get("$orderby"); by != "" {
		by = strings.TrimSuffix(by, " asc")
		slices.SortStableFunc(rows, func(a, b Row) int { return compare(a[by], b[by]) })
	}
	if top, err := strconv.Atoi(q.Get("$top")); err == nil {
		rows = rows[:min(top, len(rows))]
	}
	size := s.page
	if wish, ok := strings.CutPrefix(r.Header.Get("Prefer"), "odata.maxpagesize="); ok {
		if n, err := strconv.Atoi(wish); err == nil {
			size = min(size, n)
		}
	}
	first, _ := strconv.Atoi(q.Get("$skiptoken"))
	shown := rows[min(first, len(rows)):min(first+size, len(rows))]
	answer := map[string]any{}
	if first+size < len(rows) || s.Repeats && len(rows) > size {
		answer[s.linkName()] = s.link(r, first, size)
	}
	if s.Repeats {
		shown = rows[:min(size, len(rows))]
	}
	answer["value"], refused = s.project(shown, q.Get("$select"), q.Get("$expand"))
	return answer, refused
}

func (s *Server) linkName() string {
	if s.V3 {
		return "odata.nextLink"
	}
	return "@odata.nextLink"
}

func (s *Server) link(r *http.Request, first, size int) string {
	query := r.URL.Query()
	var kept []string
	for _, name := range options {
		if name != "$skiptoken" && query.Get(name) != "" {
			kept = append(kept, name+"="+strings.ReplaceAll(url.QueryEscape(query.Get(name)), "+", "%20"))
		}
	}
	kept = append(kept, "$skiptoken="+strconv.Itoa(first+size))
	link := r.URL.EscapedPath() + "?" + strings.Join(kept, "&")
	switch {
	case s.Elsewhere:
		return "http://elsewhere.example.com" + link
	case s.relative:
		return link
	default:
		return "http://" + r.Host + link
	}
}

// project leaves out what was not selected. Lines, which are lists of rows, are there only where they are expanded.
func (s *Server) project(rows []Row, selected, expand string) ([]Row, *refusal) {
	expanded, _, _ := strings.Cut(expand, "(")
	list := []Row{}
	for _, r := range rows {
		out := Row{}
		for field, value := range r {
			if value == nil && s.Sparse {
				continue
			}
			if lines, ok := value.([]Row); ok {
				if field == expanded {
					out[field] = lines
				}
				continue
			}
			if selected == "" || slices.Contains(strings.Split(selected, ","), field) {
				out[field] = s.write(value)
			}
		}
		for _, field := range append(strings.Split(selected, ","), expanded) {
			if _, there := r[field]; field != "" && !there {
				return nil, refuse(http.StatusBadRequest, "BadRequest", "Could not find a property named "+field)
			}
		}
		list = append(list, out)
	}
	return list, nil
}

func (s *Server) write(value any) any {
	at, ok := value.(time.Time)
	switch {
	case !ok:
		return value
	case s.Zoneless:
		return at.Format("2006-01-02T15:04:05")
	default:
		return at.UTC().Format(time.RFC3339Nano)
	}
}

func compare(a, b any) int {
	at, isTime := a.(time.Time)
	bt, both := b.(time.Time)
	if isTime && both {
		return at.Compare(bt)
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}
