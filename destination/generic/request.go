package generic

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"

	"kvit/destination"
)

// request is how an event of one name is sent.
type request struct {
	method       string
	address      address
	when         []condition
	headers      []field
	query        []field
	json         node // nil: the body is form, or there is none
	form         []field
	hasForm      bool
	overwrites   bool // a later one of the same order or person overwrites what this one said
	deduplicates *member
	auth         *auth    // nil: none is wanted
	jsonUses     []string // paths of the members that json names
	uses         []string // of those that the whole request names; see note
}

// note notes what the request names, once it is complete.
func (r *request) note() {
	r.uses = slices.Concat(r.jsonUses, r.address.path.uses)
	for _, f := range slices.Concat(r.headers, r.query, r.form) {
		r.uses = append(append(r.uses, f.name.uses...), f.value.uses...)
	}
}

// says tells whether a member is somewhere in the request.
func (r *request) says(path string) bool { return slices.Contains(r.uses, path) }

// isPlain tells whether the address is the same for all events.
func (r *request) isPlain() bool { return r.address.path.isFixed() }

// reject says why an event is not sent at all.
func (r *request) reject(s scope) *destination.Error {
	for _, c := range r.when {
		if rejected := c.reject(s); rejected != nil {
			return rejected
		}
	}
	if d := r.deduplicates; d != nil && !d.get(s).known {
		return destination.Reject("%s: is missing, by which the provider knows a repeat", d.path)
	}
	if r.says("order.total") || r.says("order.currency") {
		return s.event.UnreadSale()
	}
	return nil
}

// build makes the request of an event, but for the headers of authentication.
func (r *request) build(ctx context.Context, event destination.Event) (*http.Request, *destination.Error) {
	s := scope{event: &event}
	if rejected := r.reject(s); rejected != nil {
		return nil, rejected
	}
	address, problem := r.address.of(s)
	if problem != "" {
		return nil, destination.Reject("url: %s", problem)
	}
	if query := encode(append(allPairs(r.query, s), r.auth.parameters()...), true); query != "" {
		address += "?" + query
	}
	content, kind := r.content(s)
	req, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(content))
	if err != nil {
		return nil, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for _, h := range allPairs(r.headers, s) {
		if value, ok := headerValue(h.value); ok {
			req.Header.Set(h.name, value)
		}
	}
	return req, nil
}

func (r *request) content(s scope) (content []byte, kind string) {
	switch {
	case r.json != nil:
		return body(r.json, s), "application/json"
	case r.hasForm:
		return []byte(encode(allPairs(r.form, s), false)), "application/x-www-form-urlencoded"
	}
	return nil, ""
}

// headerValue is false for a value with control characters, which could end the header.
func headerValue(text string) (string, bool) {
	text = strings.TrimSpace(text)
	bad := func(r rune) bool { return r < ' ' || r == 0x7f }
	return text, text != "" && strings.IndexFunc(text, bad) < 0
}
