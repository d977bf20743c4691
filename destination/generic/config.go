package generic

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

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
	if len(h.tokens()) > 0 {
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

// readTemplate takes what comes from the environment as it is.
func readTemplate(n config.Node, source string, within over) (template, bool) {
	if n.Foreign {
		return template{parts: []part{{literal: source}}}, true
	}
	t, problem := parseTemplate(source, within)
	if problem != "" {
		n.Problem(problem)
		return template{}, false
	}
	return t, true
}

var headerName = config.Matches("[A-Za-z0-9!#$%&'*+.^_|~-]+", "is not the name of a header")

// reserved are headers that are made of the rest of the request.
var reserved = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Authorization", "Accept-Encoding", "Trailer", "Te", "Upgrade", "Expect"}

func headers(n config.Node) []field {
	return fields(n, func(name string) string {
		if problem := headerName(name); problem != "" {
			return problem
		}
		if slices.Contains(reserved, http.CanonicalHeaderKey(name)) {
			return "is set by kvit: credentials belong under auth"
		}
		return ""
	})
}

// fields reads the parameters of a query or a form, or headers.
func fields(n config.Node, nameProblem config.Check) (all []field) {
	if n.Shape != config.MappingShape {
		n.Problem("must be a mapping of names to values")
		return nil
	}
	for _, m := range n.Members {
		if nameProblem != nil {
			if problem := nameProblem(m.Name); problem != "" {
				m.Problem(problem)
				continue
			}
		}
		if f, ok := readField(m); ok {
			all = append(all, f)
		}
	}
	return all
}

func readField(n config.Node) (field, bool) {
	f := field{name: template{parts: []part{{literal: n.Name}}}}
	switch n.Shape {
	case config.MappingShape:
		return readEachField(n)
	case config.LiteralShape:
		f.value = template{parts: []part{{literal: n.Text}}}
		return f, true
	case config.ListShape:
		n.Problem("must be text, or a mapping with each and value")
		return field{}, false
	}
	t, ok := readTemplate(n, n.Text, nothing)
	if ok && t.isList() {
		n.Problem("is a list: add join(','), or write a mapping with each and value")
		return field{}, false
	}
	f.value = t
	return f, ok
}

// each is what a mapping with the key each says.
type each struct {
	list  list
	value config.Node
	join  *string
}

func readEach(n config.Node) (e each, ok bool) {
	path, has := n.Member("each")
	if !has {
		n.Problem("must be text, or a mapping with each and value")
		return each{}, false
	}
	if path.Shape != config.TextShape {
		path.Problem("must be the path of a list, such as order.items")
		return each{}, false
	}
	if !n.Only("each", "value", "join") {
		return each{}, false
	}
	l, problem := findList(path.Text)
	if problem != "" {
		path.Problem(problem)
		return each{}, false
	}
	e.list = l
	if e.value, has = n.Member("value"); !has {
		n.Problem("needs a value: what is made of each entry")
		return each{}, false
	}
	join, joined := n.Member("join")
	if joined && join.Shape != config.TextShape {
		join.Problem("must be text")
		return each{}, false
	}
	if joined {
		e.join = &join.Text
	}
	return e, true
}

func readEachField(n config.Node) (field, bool) {
	e, ok := readEach(n)
	if !ok {
		return field{}, false
	}
	if e.value.Shape != config.TextShape {
		e.value.Problem("must be text")
		return field{}, false
	}
	value, ok := readTemplate(e.value, e.value.Text, e.list.within)
	if !ok {
		return field{}, false
	}
	if value.isList() {
		e.value.Problem("is a list: add join(',')")
		return field{}, false
	}
	within := e.list.within
	if e.join != nil {
		within = nothing // the name stands for all entries
	}
	name, problem := parseTemplate(n.Name, within)
	if problem != "" {
		n.Problem("its name " + problem)
		return field{}, false
	}
	return field{name: name, value: value, each: &e.list, join: e.join}, true
}

// readJSON reads a body, or a part of it; nil if something is wrong with it.
func readJSON(n config.Node, within over, into *request) node {
	switch n.Shape {
	case config.LiteralShape:
		return literalNode(n.Text)
	case config.ListShape:
		var entries listNode
		for _, m := range n.Members {
			entries = append(entries, readJSON(m, within, into))
		}
		return entries
	case config.MappingShape:
		if _, repeats := n.Member("each"); repeats {
			return readEachJSON(n, within, into)
		}
		var members objectNode
		for _, m := range n.Members {
			members = append(members, namedNode{quoted(m.Name), readJSON(m, within, into)})
		}
		return members
	}
	t, ok := readTemplate(n, n.Text, within)
	if !ok {
		return nil
	}
	into.jsonUses = append(into.jsonUses, t.uses...)
	return textNode{t}
}

func readEachJSON(n config.Node, within over, into *request) node {
	if within != nothing {
		n.Problem("must not stand within another each")
		return nil
	}
	e, ok := readEach(n)
	if !ok {
		return nil
	}
	if e.join == nil {
		return eachNode{e.list, readJSON(e.value, e.list.within, into)}
	}
	if e.value.Shape != config.TextShape {
		e.value.Problem("must be text, since join makes a text of the entries")
		return nil
	}
	t, ok := readTemplate(e.value, e.value.Text, e.list.within)
	if !ok {
		return nil
	}
	into.jsonUses = append(into.jsonUses, t.uses...)
	return joinNode{e.list, t, *e.join}
}

// readAuth reads one of the ways to say who sends; nil if there is none.
func readAuth(s *config.Section, allowPrivate bool) *auth {
	if s.Len() != 1 {
		s.ProblemHere("must have one of basic, bearer, header, query and oauth2")
		return nil
	}
	defer s.Finish()
	switch {
	case s.Has("basic"):
		b := s.Section("basic")
		defer b.Finish()
		return &auth{basic: &basic{
			user: b.RequiredText("user", noColon), password: b.RequiredSecret("password"), signedHeader: b.Text("signed_header", "", headerName),
		}}
	case s.Has("header"):
		return &auth{header: readKey(s.Section("header"), headerName)}
	case s.Has("query"):
		return &auth{query: readKey(s.Section("query"), config.OneLine)}
	case s.Has("oauth2"):
		return &auth{oauth2: &tokens{oauth2: readOAuth2(s.Section("oauth2"), allowPrivate)}}
	}
	return &auth{bearer: s.Secret("bearer", config.VisibleASCII)}
}

func readKey(s *config.Section, name config.Check) *key {
	defer s.Finish()
	return &key{name: s.RequiredText("name", name), value: s.RequiredSecret("value", config.VisibleASCII)}
}

func noColon(text string) string {
	if strings.Contains(text, ":") {
		return "must not contain a colon"
	}
	return config.OneLine(text)
}

func readOAuth2(s *config.Section, allowPrivate bool) oauth2 {
	defer s.Finish()
	plain := func(string) bool { return allowPrivate }
	return oauth2{
		tokenURL: s.RequiredText("token_url", config.HTTPURL(plain, "http only with allow_private: true"), func(text string) string {
			if u, err := url.Parse(text); err != nil || allowPrivate || !destination.RefusesHost(u.Hostname()) {
				return ""
			}
			return "leads to a private or local address, which needs allow_private: true"
		}),
		clientID:     s.RequiredText("client_id", config.OneLine),
		clientSecret: s.RequiredSecret("client_secret"),
		scope:        s.Text("scope", "", config.OneLine),
		audience:     s.Text("audience", "", config.OneLine),
		inBody:       s.Choice("credentials_in", "header", "header", "body") == "body",
	}
}

func readAnswers(s *config.Section) answers {
	a := answers{statuses: map[int]meaning{}, other: retry}
	status := config.Matches(`[1-5]([0-9][0-9]|xx)`, "is not a status such as 409 or 4xx")
	for code, said := range s.Section("statuses").Pairs(status, isMeaning) {
		a.statuses[statusOf(code)] = meaning(said)
	}
	a.member = s.Text("member", "", config.OneLine)
	anything := func(string) string { return "" }
	values := s.Section("values")
	a.values = map[string]meaning{}
	for value, said := range values.Pairs(anything, isMeaning) {
		a.values[value] = meaning(said)
	}
	a.other = meaning(s.Text("other", string(retry), isMeaning))
	if a.member == "" && (s.Has("values") || s.Has("other")) && !s.Faulty("member") {
		s.Problem("member", "is missing: which member of the answer has these values")
	}
	if a.member != "" && !s.Has("values") {
		s.Problem("values", "is missing: what the values of the member mean")
	}
	if s.Present() {
		s.Finish()
	}
	return a
}

// statusOf is the status itself, or the first digit for all of a class.
func statusOf(code string) int {
	n := int(code[0] - '0')
	if code[1:] == "xx" {
		return n
	}
	return n*100 + int(code[1]-'0')*10 + int(code[2]-'0')
}
