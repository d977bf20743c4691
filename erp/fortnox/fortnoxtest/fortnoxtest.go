// Package fortnoxtest is a stand-in of Fortnox's API, version 3, and of its token endpoint. What a search finds is what was measured:
// values that begin with the one asked for, in any case.
package fortnoxtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvit/erp"
	"kvit/erp/erptest"
)

// What the stand-in takes.
const (
	ClientID = "8VurtMGDkvit"
	Secret   = "fortnox-secret"
	TenantID = 211766
	Scope    = "companyinformation order invoice"
)

// ERP is the stand-in.
type ERP struct {
	*erptest.Desk
	URL string // of this machine; BaseURL and TokenURL begin with it

	Contains bool             // a search finds values that hold the one asked for anywhere, as an older page of the documentation says
	Limited  bool             // 25 requests within 5 s
	Now      func() time.Time // of the limit
	Hidden   map[string]bool  // paths that the scopes do not cover
	Between  func(req *http.Request)

	tokens   int
	valid    string
	moments  []time.Time
	Throttle int // requests that were turned away by the limit
}

// New starts one, until the test ends.
func New(t *testing.T) *ERP {
	f := &ERP{Desk: &erptest.Desk{Refuse: problem, Change: cut}, Now: time.Now, Hidden: map[string]bool{}}
	f.URL = f.Start(t, f.serve, "/oauth-v1/token")
	return f
}

// BaseURL is that of the API.
func (f *ERP) BaseURL() string { return f.URL + "/3" }

// TokenURL is that of the token endpoint.
func (f *ERP) TokenURL() string { return f.URL + "/oauth-v1/token" }

// cut is what happens to references of more than 30 characters.
func cut(doc erp.Document) erp.Document {
	if letters := []rune(doc.Ref); len(letters) > 30 {
		doc.Ref = string(letters[:30])
	}
	return doc
}

func problem(status int) string {
	return fmt.Sprintf(`{"ErrorInformation":{"error":1,"message":"Ett fel har uppstått (%d).","code":2000000}}`, status)
}

func (f *ERP) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(req.URL.Path, "/3")
	number, one := strings.CutPrefix(path, "/invoices/")
	switch {
	case req.URL.Path == "/oauth-v1/token":
		f.token(w, req)
	case f.throttled():
		f.Answer(w, http.StatusTooManyRequests)
	case !f.authorized(req):
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"message":"unauthorized"}`)
	case f.Hidden[path] || req.Method != http.MethodGet:
		f.Answer(w, http.StatusForbidden)
	case path == "/companyinformation":
		f.company(w)
	case path == "/orders":
		f.list(w, req, "Orders", erp.OrderDocument)
	case path == "/invoices":
		f.list(w, req, "Invoices", erp.InvoiceDocument, erp.CreditMemoDocument)
	case one:
		f.invoice(w, number)
	default:
		f.Answer(w, http.StatusNotFound)
	}
}

func (f *ERP) token(w http.ResponseWriter, req *http.Request) {
	user, password, _ := req.BasicAuth()
	good := req.Method == http.MethodPost && req.Header.Get("Content-Type") == "application/x-www-form-urlencoded" &&
		user == ClientID && password == Secret && req.Header.Get("TenantId") == strconv.Itoa(TenantID) &&
		req.PostFormValue("grant_type") == "client_credentials" && req.PostFormValue("scope") == Scope && !req.PostForm.Has("client_secret")
	if !good || f.Is(erptest.RefusesToken) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"Invalid client"}`)
		return
	}
	f.tokens++
	f.valid = fmt.Sprintf("token-%d", f.tokens)
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"scope":%q,"expires_in":3600,"token_type":"bearer"}`, f.valid, Scope)
}

func (f *ERP) authorized(req *http.Request) bool {
	if f.Lose() {
		f.valid = ""
	}
	return f.valid != "" && req.Header.Get("Authorization") == "Bearer "+f.valid
}

// throttled counts in a window that slides.
func (f *ERP) throttled() bool {
	if !f.Limited {
		return false
	}
	now := f.Now()
	f.moments = slices.DeleteFunc(f.moments, func(at time.Time) bool { return now.Sub(at) >= 5*time.Second })
	if len(f.moments) >= 25 {
		f.Throttle++
		return true
	}
	f.moments = append(f.moments, now)
	return false
}

func (f *ERP) company(w http.ResponseWriter) {
	database := TenantID
	if f.Is(erptest.OtherCompany) {
		database++
	}
	_, _ = fmt.Fprintf(w, `{"CompanyInformation":{"CompanyName":"En Butik","DatabaseNumber":%d,"City":"Växjö"}}`, database)
}

type question struct {
	field, ref  string
	limit, page int
}

// parse is false for what the API answers with 400: fields that cannot be searched, pages that are none.
func parse(req *http.Request) (q question, ok bool) {
	q = question{limit: 100, page: 1}
	if strings.Contains(req.URL.RawQuery, "+") {
		return q, false
	}
	for name, list := range req.URL.Query() {
		var err error
		switch {
		case len(list) != 1:
			return q, false
		case slices.Contains([]string{"externalinvoicereference1", "externalinvoicereference2", "documentnumber"}, name):
			q.field, q.ref = name, list[0]
		case name == "limit":
			q.limit, err = strconv.Atoi(list[0])
		case name == "page":
			q.page, err = strconv.Atoi(list[0])
		default:
			return q, false
		}
		if err != nil {
			return q, false
		}
	}
	return q, 1 <= q.limit && q.limit <= 500 && q.page >= 1
}

func (f *ERP) list(w http.ResponseWriter, req *http.Request, member string, kinds ...string) {
	if f.Between != nil {
		f.Between(req)
	}
	q, ok := parse(req)
	if !ok {
		f.Answer(w, http.StatusBadRequest)
		return
	}
	docs := f.matching(q, kinds)
	size, from := f.Rows(q.limit), q.page-1
	if f.Is(erptest.RepeatsPage) {
		from = 0
	}
	rows := make([]map[string]any, 0, size)
	for _, doc := range docs[min(from*size, len(docs)):min((from+1)*size, len(docs))] {
		rows = append(rows, row(doc))
	}
	pages := max((len(docs)+size-1)/size, 1)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"MetaInformation": map[string]any{"@TotalResources": len(docs), "@TotalPages": pages, "@CurrentPage": q.page}, member: rows,
	})
}

func (f *ERP) matching(q question, kinds []string) []erp.Document {
	var docs []erp.Document
	if f.Is(erptest.OtherCompany) {
		return docs
	}
	asked := strings.ToLower(q.ref)
	for _, doc := range f.Docs {
		if slices.Contains(kinds, doc.Kind) && (f.finds(searched(doc, q.field), asked) || f.Is(erptest.IgnoresFilter)) {
			docs = append(docs, doc)
		}
	}
	return docs
}

// finds tells whether a search for what is asked, in lower case, finds a value.
func (f *ERP) finds(value, asked string) bool {
	if f.Contains {
		return strings.Contains(strings.ToLower(value), asked)
	}
	return len(value) >= len(asked) && strings.EqualFold(value[:len(asked)], asked) // without a copy: thousands of values are looked at
}

// searched is the value of a field that can be searched.
func searched(doc erp.Document, field string) string {
	switch field {
	case "externalinvoicereference1":
		return doc.Ref
	case "externalinvoicereference2":
		return "2:" + doc.Ref
	case "documentnumber":
		return doc.Number
	default:
		return ""
	}
}

// row is a document in a list, with the personal members that it has.
func row(doc erp.Document) map[string]any {
	row := map[string]any{
		"@url": "https://api.fortnox.se/3/", "DocumentNumber": doc.Number, "CustomerName": "Någon", "CustomerNumber": "7", "Cancelled": false,
		"Currency": "SEK", "ExternalInvoiceReference1": doc.Ref, "ExternalInvoiceReference2": "2:" + doc.Ref, "Total": 1250.25,
	}
	if doc.Kind == erp.CreditMemoDocument {
		row["Total"] = -1250.25
	}
	return row
}

func (f *ERP) invoice(w http.ResponseWriter, number string) {
	for _, doc := range f.Docs {
		if doc.Kind == erp.OrderDocument || doc.Number != number {
			continue
		}
		order := doc.OrderNumber
		if order == "" {
			order = "0"
		}
		whole := row(doc)
		whole["Credit"] = strconv.FormatBool(doc.Kind == erp.CreditMemoDocument)
		whole["OrderReference"] = order
		whole["Address1"] = "Någonstans 1"
		_ = json.NewEncoder(w).Encode(map[string]any{"Invoice": whole})
		return
	}
	f.Answer(w, http.StatusNotFound)
}
