// Package economictest is a stand-in of Visma e-conomic's REST API: orders as drafts, sent and archived, invoices as drafts and
// booked, filters, pages and errors as documented.
package economictest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kvit/erp"
	"kvit/erp/erptest"
)

// What the stand-in takes.
const (
	AppSecret = "app-secret"
	Grant     = "agreement-grant"
	Agreement = 1234567
)

// ERP is the stand-in. An order that it is given is a draft, an invoice and a credit memo are booked; quotes are not served.
type ERP struct {
	*erptest.Desk
	URL     string               // of the API
	places  map[[2]string]string // of documents that have moved, by kind and number
	Between func(path string)    // before a list is answered, with the lock held
	Heading bool                 // the reference stands in notes.heading
	Missing map[string]bool      // collections that the role does not let in to
}

// New starts one, until the test ends.
func New(t *testing.T) *ERP {
	e := &ERP{Desk: &erptest.Desk{Refuse: problem}, places: map[[2]string]string{}, Missing: map[string]bool{}}
	e.URL = e.Start(t, e.serve, "")
	return e
}

func problem(status int) string {
	return fmt.Sprintf(`{"message":%q,"errorCode":"E00000","developerHint":"See https://restdocs.e-conomic.com","logId":"0","httpStatusCode":%d,"logTime":"2026-11-20T10:00:00"}`,
		http.StatusText(status), status)
}

// Send marks an order as sent.
func (e *ERP) Send(number string) {
	e.Lock()
	defer e.Unlock()
	e.Move(number, "/orders/sent")
}

// Move puts an order elsewhere. The lock is held.
func (e *ERP) Move(number, path string) { e.places[[2]string{erp.OrderDocument, number}] = path }

// Upgrade makes an order a draft of an invoice. One that was sent is archived, one that was not is gone.
func (e *ERP) Upgrade(number, draft string) {
	e.Lock()
	defer e.Unlock()
	for i, doc := range e.Docs {
		if doc.Kind != erp.OrderDocument || doc.Number != number {
			continue
		}
		sent := e.path(doc) == "/orders/sent"
		e.Docs = append(e.Docs, erp.Document{Kind: erp.InvoiceDocument, Ref: doc.Ref, Number: draft})
		e.places[[2]string{erp.InvoiceDocument, draft}] = "/invoices/drafts"
		if sent {
			e.Move(number, "/orders/archived")
			return
		}
		e.Docs = slices.Delete(e.Docs, i, i+1)
		return
	}
}

// Book books the draft of an invoice, under another number.
func (e *ERP) Book(draft, number string) {
	e.Lock()
	defer e.Unlock()
	for i, doc := range e.Docs {
		if doc.Kind == erp.InvoiceDocument && doc.Number == draft && e.path(doc) == "/invoices/drafts" {
			e.Docs[i].Number = number
			return
		}
	}
}

func (e *ERP) path(doc erp.Document) string {
	if moved := e.places[[2]string{doc.Kind, doc.Number}]; moved != "" {
		return moved
	}
	switch doc.Kind {
	case erp.OrderDocument:
		return "/orders/drafts"
	case erp.InvoiceDocument, erp.CreditMemoDocument:
		return "/invoices/booked"
	default:
		return ""
	}
}

func (e *ERP) serve(w http.ResponseWriter, req *http.Request) {
	path := req.URL.Path
	switch {
	case req.Method != http.MethodGet:
		e.Answer(w, http.StatusMethodNotAllowed)
	case req.Header.Get("X-AppSecretToken") != AppSecret || req.Header.Get("X-AgreementGrantToken") != Grant || e.Is(erptest.RefusesToken):
		e.Answer(w, http.StatusUnauthorized)
	case req.Header.Get("Content-Type") != "application/json":
		e.Answer(w, http.StatusUnsupportedMediaType)
	case e.Missing[path]:
		e.Answer(w, http.StatusForbidden)
	case path == "/self":
		e.self(w)
	case slices.Contains([]string{"/orders/drafts", "/orders/sent", "/orders/archived", "/invoices/drafts", "/invoices/booked"}, path):
		e.list(w, req)
	default:
		e.Answer(w, http.StatusNotFound)
	}
}

func (e *ERP) self(w http.ResponseWriter) {
	agreement := Agreement
	if e.Is(erptest.OtherCompany) {
		agreement++
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = fmt.Fprintf(w, `{"agreementNumber":%d,"userName":"someone","company":{"name":"A Shop","city":"Aarhus"},"self":"https://restapi.e-conomic.com/self"}`, agreement)
}

type question struct {
	keep       test
	size, skip int
}

// ask is false for what the API answers with 400.
func (e *ERP) ask(query string) (q question, ok bool) {
	values, err := url.ParseQuery(query)
	if err != nil || strings.Contains(query, "+") || len(query) > 2048 {
		return q, false
	}
	q = question{size: 20, keep: func(func(string) string) bool { return true }}
	for name, list := range values {
		switch {
		case len(list) != 1:
			return q, false
		case name == "filter":
			if q.keep, ok = parse(list[0]); !ok {
				return q, false
			}
		case name == "pagesize":
			q.size, err = strconv.Atoi(list[0])
		case name == "skippages":
			q.skip, err = strconv.Atoi(list[0])
		default:
			return q, false
		}
		if err != nil {
			return q, false
		}
	}
	return q, 1 <= q.size && q.size <= 1000 && q.skip >= 0
}

func (e *ERP) list(w http.ResponseWriter, req *http.Request) {
	if strings.HasPrefix(req.URL.Path, "/invoices/") && strings.Contains(req.URL.Query().Get("filter"), "orderNumber") {
		e.Answer(w, http.StatusBadRequest) // invoices have none
		return
	}
	if e.Between != nil {
		e.Between(req.URL.Path)
	}
	q, ok := e.ask(req.URL.RawQuery)
	if !ok {
		e.Answer(w, http.StatusBadRequest)
		return
	}
	docs := e.matching(req.URL.Path, q)
	size, from := e.Rows(q.size), q.skip
	if e.Is(erptest.RepeatsPage) {
		from = 0
	}
	rows := make([]map[string]any, 0, size)
	for _, doc := range docs[min(from*size, len(docs)):min((from+1)*size, len(docs))] {
		rows = append(rows, e.row(doc, req.URL.Path))
	}
	pagination := map[string]any{"maxPageSizeAllowed": 1000, "skipPages": q.skip, "pageSize": size, "results": len(docs), "resultsWithoutFilter": len(e.Docs)}
	if (q.skip+1)*size < len(docs) || e.Is(erptest.RepeatsPage) && len(docs) > size {
		pagination["nextPage"] = e.next(req, q.skip+1)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(map[string]any{"collection": rows, "pagination": pagination, "self": "https://restapi.e-conomic.com" + req.URL.Path})
}

func (e *ERP) next(req *http.Request, skip int) string {
	values := req.URL.Query()
	values.Set("skippages", strconv.Itoa(skip))
	host := e.URL
	if e.Is(erptest.LinksElsewhere) {
		host = "https://elsewhere.example"
	}
	return host + req.URL.Path + "?" + strings.ReplaceAll(values.Encode(), "+", "%20")
}

func (e *ERP) matching(path string, q question) []erp.Document {
	var docs []erp.Document
	for _, doc := range e.Docs {
		field := func(name string) string {
			switch name {
			case e.property():
				return doc.Ref
			case "orderNumber":
				return doc.Number
			default:
				return ""
			}
		}
		if e.path(doc) == path && !e.Is(erptest.OtherCompany) && (q.keep(field) || e.Is(erptest.IgnoresFilter)) {
			docs = append(docs, doc)
		}
	}
	return docs
}

func (e *ERP) property() string {
	if e.Heading {
		return "notes.heading"
	}
	return "references.other"
}

// row is a document in a list, with the personal members that it has.
func (e *ERP) row(doc erp.Document, path string) map[string]any {
	number := json.Number(strings.TrimLeft(doc.Number, "0"))
	name := map[string]string{"/invoices/drafts": "draftInvoiceNumber", "/invoices/booked": "bookedInvoiceNumber"}[path]
	if name == "" {
		name = "orderNumber"
	}
	row := map[string]any{
		name: number, "date": "2026-11-20", "currency": "DKK", "grossAmount": 1250.25, "netAmount": 1000.2, "vatAmount": 250.05,
		"recipient": map[string]any{"name": "Someone", "address": "Somewhere 1"}, "customer": map[string]any{"customerNumber": 7},
	}
	if doc.Kind == erp.CreditMemoDocument {
		row["grossAmount"] = -1250.25
	}
	if object, member, _ := strings.Cut(e.property(), "."); doc.Ref != "" {
		row[object] = map[string]any{member: doc.Ref}
	}
	return row
}
