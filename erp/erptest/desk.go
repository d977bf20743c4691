package erptest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"kvit/erp"
)

// Desk is what stand-ins that are asked by HTTP have in common: documents, requests that are counted and fail as told, and
// the deviations that have nothing to do with an ERP's dialect. A stand-in embeds it, and serves under its lock.
type Desk struct {
	sync.Mutex
	Docs   []erp.Document                  // as they were put, oldest first
	Refuse func(status int) (body string)  // the dialect's body of an error; nil: none
	Change func(erp.Document) erp.Document // what the ERP makes of a document that is put in; nil: nothing

	deviation            Deviation
	lost                 bool // LosesToken was asked for, and did not happen yet
	after, times, status int
	header               http.Header
	page, requests       int
}

// Put adds documents.
func (d *Desk) Put(docs ...erp.Document) {
	d.Lock()
	defer d.Unlock()
	for _, doc := range docs {
		if doc.ChangedAt.IsZero() {
			doc.ChangedAt = time.Now().UTC().Truncate(time.Millisecond)
		}
		if d.Change != nil {
			doc = d.Change(doc)
		}
		d.Docs = append(d.Docs, doc)
	}
}

// Remove takes away the orders of this number.
func (d *Desk) Remove(number string) {
	d.Lock()
	defer d.Unlock()
	d.Docs = slices.DeleteFunc(d.Docs, func(doc erp.Document) bool { return doc.Kind == erp.OrderDocument && doc.Number == number })
}

// Deviate switches a deviation on, and the one before off.
func (d *Desk) Deviate(deviation Deviation) {
	d.Lock()
	defer d.Unlock()
	d.deviation, d.lost = deviation, deviation == LosesToken
}

// Fail makes requests fail.
func (d *Desk) Fail(after, times, status int, header http.Header) {
	d.Lock()
	defer d.Unlock()
	d.after, d.times, d.status, d.header = after, times, status, header
}

// Page sets how many rows a page has at most.
func (d *Desk) Page(rows int) {
	d.Lock()
	defer d.Unlock()
	d.page = rows
}

// Requests counts all requests.
func (d *Desk) Requests() int {
	d.Lock()
	defer d.Unlock()
	return d.requests
}

// Is tells whether a deviation is on. The lock is held.
func (d *Desk) Is(deviation Deviation) bool { return d.deviation == deviation }

// Rows is how many rows the page has that asks for so many. The lock is held.
func (d *Desk) Rows(asked int) int {
	if d.page > 0 {
		return min(d.page, asked)
	}
	return asked
}

// Lose tells whether the token that is in use is to be forgotten now. The lock is held.
func (d *Desk) Lose() bool {
	lose := d.lost
	d.lost = false
	return lose
}

// Start lets a stand-in answer on this machine until the test ends, and returns its address. What begins with token is
// the token endpoint, which gives tokens whatever else deviates.
func (d *Desk) Start(t *testing.T, serve http.HandlerFunc, token string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		d.Lock()
		defer d.Unlock()
		d.requests++
		switch {
		case d.failing():
			for name, values := range d.header {
				w.Header()[name] = values
			}
			d.Answer(w, d.status)
		case token != "" && req.URL.Path == token:
			serve(w, req)
		default:
			d.deviate(w, req, serve)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (d *Desk) failing() bool {
	if d.times == 0 {
		return false
	}
	if d.after > 0 {
		d.after--
		return false
	}
	d.times--
	return true
}

// Answer writes an error. The lock is held.
func (d *Desk) Answer(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if d.Refuse != nil {
		_, _ = io.WriteString(w, d.Refuse(status))
	}
}

func (d *Desk) deviate(w http.ResponseWriter, req *http.Request, serve http.HandlerFunc) {
	switch d.deviation {
	case AnswersHTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>Sign in</title>")
	case Redirects:
		http.Redirect(w, req, "https://elsewhere.example/", http.StatusFound)
	case AnswersGarbage:
		whole := httptest.NewRecorder()
		serve(whole, req)
		body := bytes.TrimSpace(whole.Body.Bytes())
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body[:len(body)/2])
	default:
		serve(w, req)
	}
}
