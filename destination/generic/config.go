package generic

import (
	"net/http"
	"slices"

	"kvit/config"
	"kvit/destination"
)

// Kind is a provider without an adapter, as kvit.yaml names it.
var Kind = config.Kind{Name: "http", Concurrency: 4, Consent: "marketing", Read: destination.Reader(readOptions)}

// Make makes the destination. Events are those for which there is a request.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	private := o.HTTP.AllowPrivate
	o.HTTP = common.HTTP
	o.HTTP.AllowPrivate = private
	h, err := New(o)
	if err != nil {
		return nil, err
	}
	if len(h.tokens) > 0 {
		return Proving{h}, nil
	}
	return h, nil
}

const deduplicatesProblem = "must be stated: what the provider knows a repeat by, such as order.ref or event.uuid. kvit delivers at least once. " +
	"If the provider counts every request, write \"none\": then an event whose answer was lost is not sent again"

// reader reads requests, with what they have in common.
type reader struct {
	allowPrivate bool
	common       request
	hasURL       bool
	hasRepeats   bool // deduplicates stands beside the requests
}

func readOptions(s *config.Section) Options {
	var o Options
	o.HTTP.AllowPrivate = s.Boolean("allow_private", false)
	o.answers = readAnswers(s.Section("answers"))
	r := &reader{allowPrivate: o.HTTP.AllowPrivate}
	r.hasURL, r.hasRepeats = s.Has("url"), s.Has("deduplicates")
	r.shared(s, &r.common)
	s.Require("requests")
	requests := s.Section("requests")
	o.requests = map[string]*request{}
	for _, name := range requests.Names() {
		if !destination.IsName(name) {
			requests.Problem(name, unknownEvent(name))
			continue
		}
		o.requests[name] = r.request(requests.Section(name))
	}
	if requests.Present() && requests.Len() == 0 && !s.Faulty("requests") {
		requests.ProblemHere("is empty: write the request of at least one event")
	}
	return o
}

func unknownEvent(name string) string {
	problem := "is not the name of an event, nor custom:<name>, nor custom:*"
	if near, ok := config.Nearest(name, destination.Names); ok {
		problem += "; did you mean " + near + "?"
	}
	return problem
}

// shared reads what may stand beside the requests as well as in one.
func (r *reader) shared(s *config.Section, into *request) {
	if n, ok := s.Node("url"); ok {
		r.address(n, into)
	}
	if n, ok := s.Node("when"); ok {
		into.when = append(into.when, conditions(n)...)
	}
	if n, ok := s.Node("headers"); ok {
		into.headers = append(into.headers, headers(n)...)
	}
	if n, ok := s.Node("query"); ok {
		own := fields(n, nil)
		into.query = append(slices.DeleteFunc(into.query, func(f field) bool { return f.isIn(own) }), own...)
	}
	if s.Has("auth") {
		section := s.Section("auth")
		if !s.Faulty("auth") {
			into.auth = readAuth(section, r.allowPrivate)
		}
	}
	into.deduplicates = readDeduplicates(s, into.deduplicates)
}

func (r *reader) request(s *config.Section) *request {
	made := r.common
	made.when, made.headers, made.query = slices.Clone(made.when), slices.Clone(made.headers), slices.Clone(made.query)
	r.shared(s, &made)
	made.overwrites = s.Boolean("overwrites", false)
	if n, ok := s.Node("json"); ok {
		made.json = readJSON(n, nothing, &made)
	}
	if n, ok := s.Node("form"); ok {
		made.form, made.hasForm = fields(n, nil), true
	}
	made.note()
	r.method(s, &made)
	r.complete(s, &made)
	s.Finish()
	return &made
}

func (r *reader) method(s *config.Section, made *request) {
	hasBody := s.Has("json") || s.Has("form")
	usual := http.MethodGet
	if hasBody {
		usual = http.MethodPost
	}
	made.method = s.Choice("method", usual, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete)
	switch {
	case s.Has("json") && s.Has("form"):
		s.Problem("form", "cannot stand beside json: a request has one body")
	case hasBody && made.method == http.MethodGet && !s.Faulty("method"):
		s.Problem("method", "must not be GET: the request has a body")
	}
}

// complete looks for what a request cannot be without.
func (r *reader) complete(s *config.Section, made *request) {
	if !s.Has("url") && !r.hasURL {
		s.Problem("url", "is missing, here and beside the requests")
	}
	if a := made.auth; a != nil && a.query != nil && slices.ContainsFunc(made.query, func(f field) bool { return f.isCalled(a.query.name) }) {
		s.Problem("query", "has the parameter of auth.query")
	}
	if !s.Has("deduplicates") && !r.hasRepeats {
		s.Problem("deduplicates", deduplicatesProblem)
	}
	if d := made.deduplicates; d != nil && !made.says(d.path) {
		s.Problem("deduplicates", "names "+d.path+", which the request does not send")
	}
}

// readDeduplicates keeps what stood beside the requests where a request says nothing.
func readDeduplicates(s *config.Section, before *member) *member {
	if !s.Has("deduplicates") {
		return before
	}
	var found *member
	s.Text("deduplicates", "", func(text string) string {
		if text == config.None {
			return ""
		}
		m, problem := findMember(text, nothing)
		if problem == "" && m.isList {
			problem = "is a list"
		}
		found = &m
		return problem
	})
	if s.Faulty("deduplicates") {
		return before
	}
	return found
}

func (r *reader) address(n config.Node, into *request) {
	if n.Shape != config.TextShape {
		n.Problem("must be text")
		return
	}
	if err := checkAddress(n.Text, r.allowPrivate); err != nil {
		n.Problem(err.Error())
		return
	}
	origin, path := splitAddress(n.Text)
	t, ok := readTemplate(n, path, nothing)
	if !ok {
		return
	}
	into.address = address{origin: origin, path: t}
	if !into.address.isUsable() {
		n.Problem("is not an absolute https URL")
	}
}

func conditions(n config.Node) (all []condition) {
	list := []config.Node{n}
	if n.Shape == config.ListShape {
		list = n.Members
	}
	for _, entry := range list {
		if entry.Shape != config.TextShape {
			entry.Problem("must be text, such as client.awc")
			continue
		}
		if entry.Foreign {
			entry.Problem("must be written here and not in the environment")
			continue
		}
		c, problem := parseCondition(entry.Text)
		if problem != "" {
			entry.Problem(problem)
			continue
		}
		all = append(all, c)
	}
	return all
}
