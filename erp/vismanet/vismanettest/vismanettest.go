// Package vismanettest is a stand-in of Visma Net ERP's sales order API and of Visma Connect. What is not documented it does in
// the way that is hardest for a client.
package vismanettest

import (
	"cmp"
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
	ClientID = "isv_kvit"
	Secret   = "visma-secret"
	TenantID = "01234567-89ab-cdef-0123-456789abcdef"
	Scope    = "visma.net.erp.salesorder:read"
)

// ERP is the stand-in. The documents that it is given get the type SO, QT or CM.
type ERP struct {
	*erptest.Desk
	URL string // of this machine; BaseURL and TokenURL begin with it

	Strict  bool             // modifiedSince takes in only what is later
	Window  time.Duration    // of the limit; 0: no limit
	Limit   int              // requests in a window
	Now     func() time.Time // of the limit
	Types   map[string]string
	Offset  bool // times have an offset instead of none
	NoTotal bool // lists do not tell how many rows there are
	Between func()

	tokens  int
	valid   string
	began   time.Time
	counted int
}

// New starts one, until the test ends.
func New(t *testing.T) *ERP {
	v := &ERP{Desk: &erptest.Desk{Refuse: problem}, Types: map[string]string{}, Now: time.Now}
	v.URL = v.Start(t, v.serve, "/connect/token")
	return v
}

// BaseURL is that of the API.
func (v *ERP) BaseURL() string { return v.URL + "/api/v3" }

// TokenURL is that of Visma Connect.
func (v *ERP) TokenURL() string { return v.URL + "/connect/token" }

func problem(status int) string {
	return fmt.Sprintf(`{"type":"https://tools.ietf.org/html/rfc9110","title":%q,"status":%d,"traceId":"00-0"}`, http.StatusText(status), status)
}

func (v *ERP) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	switch {
	case req.URL.Path == "/connect/token":
		v.token(w, req)
	case v.limited(w):
	case !v.authorized(req):
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
	case req.URL.Path == "/api/v3/SalesOrders" && req.Method == http.MethodGet:
		v.list(w, req)
	default:
		v.Answer(w, http.StatusNotFound)
	}
}

func (v *ERP) token(w http.ResponseWriter, req *http.Request) {
	form := map[string]string{"grant_type": "client_credentials", "client_id": ClientID, "client_secret": Secret, "tenant_id": TenantID, "scope": Scope}
	good := req.Method == http.MethodPost && req.Header.Get("Content-Type") == "application/x-www-form-urlencoded" && req.URL.RawQuery == ""
	for name, value := range form {
		good = good && req.PostFormValue(name) == value
	}
	if !good || v.Is(erptest.RefusesToken) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
		return
	}
	v.tokens++
	v.valid = fmt.Sprintf("token-%d", v.tokens)
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600,"token_type":"Bearer","scope":%q}`, v.valid, Scope)
}

func (v *ERP) authorized(req *http.Request) bool {
	if v.Lose() {
		v.valid = ""
	}
	return v.valid != "" && req.Header.Get("Authorization") == "Bearer "+v.valid
}

// limited counts within a fixed window, as the page on rate limits says.
func (v *ERP) limited(w http.ResponseWriter) bool {
	if v.Window == 0 {
		return false
	}
	now := v.Now()
	if now.Sub(v.began) >= v.Window {
		v.began, v.counted = now, 0
	}
	v.counted++
	reset := strconv.Itoa(int((v.Window - now.Sub(v.began) + time.Second - 1) / time.Second))
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(v.Limit))
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(v.Limit-v.counted, 0)))
	w.Header().Set("X-RateLimit-Reset", reset)
	if v.counted <= v.Limit {
		return false
	}
	w.Header().Set("Retry-After", reset)
	v.Answer(w, http.StatusTooManyRequests)
	return true
}

type question struct {
	since       time.Time
	size, index int
	by          string
	descending  bool
}

// parse is false for what the API answers with 400, and for names that it does not have.
func (v *ERP) parse(req *http.Request) (q question, ok bool) {
	values := req.URL.Query()
	if strings.Contains(req.URL.RawQuery, "+") {
		return q, false
	}
	var err error
	for name, list := range values {
		value := list[0]
		switch {
		case len(list) != 1:
			return q, false
		case name == "modifiedSince":
			q.since, err = time.Parse(time.RFC3339, value)
		case name == "pageSize":
			q.size, err = strconv.Atoi(value)
		case name == "pageIndex":
			q.index, err = strconv.Atoi(value)
		case name == "orderBy":
			by, direction, _ := strings.Cut(value, " ")
			q.by, q.descending = by, direction == "desc"
			if !slices.Contains([]string{"created", "lastModified", "orderId"}, by) || !slices.Contains([]string{"", "asc", "desc"}, direction) {
				return q, false
			}
		default:
			return q, false
		}
		if err != nil {
			return q, false
		}
	}
	q.size = cmp.Or(q.size, 100)
	return q, q.size >= 1 && q.index >= 0
}

func (v *ERP) list(w http.ResponseWriter, req *http.Request) {
	q, ok := v.parse(req)
	if !ok {
		v.Answer(w, http.StatusBadRequest)
		return
	}
	docs := v.matching(q)
	if v.Is(erptest.RepeatsPage) {
		docs, q.index = v.matching(question{by: "lastModified"}), 0
	}
	total, size := len(docs), v.Rows(q.size)
	docs = docs[min(q.index*size, total):min((q.index+1)*size, total)]
	rows := make([]map[string]any, 0, size)
	for _, doc := range docs {
		rows = append(rows, v.row(doc))
	}
	answer := map[string]any{"value": rows, "pageSize": size, "pageIndex": q.index}
	if !v.NoTotal {
		answer["totalCount"] = total
	}
	_ = json.NewEncoder(w).Encode(answer)
	if v.Between != nil {
		v.Between()
	}
}

func (v *ERP) matching(q question) []erp.Document {
	if v.Is(erptest.OtherCompany) {
		return nil
	}
	var docs []erp.Document
	for _, doc := range v.Docs {
		late := !doc.ChangedAt.Before(q.since) && !(v.Strict && doc.ChangedAt.Equal(q.since))
		if doc.Kind != erp.InvoiceDocument && (late || v.Is(erptest.IgnoresFilter)) {
			docs = append(docs, doc)
		}
	}
	slices.SortStableFunc(docs, func(a, b erp.Document) int {
		order := strings.Compare(a.Number, b.Number)
		if q.by == "lastModified" {
			order = cmp.Or(a.ChangedAt.Compare(b.ChangedAt), order)
		}
		if q.descending {
			return -order
		}
		return order
	})
	return docs
}

// row is an order in a list, with the personal members that it has.
func (v *ERP) row(doc erp.Document) map[string]any {
	layout := "2006-01-02T15:04:05.999"
	if v.Offset {
		layout = "2006-01-02T15:04:05.999Z07:00"
	}
	of := cmp.Or(v.Types[doc.Number], map[string]string{erp.QuoteDocument: "QT", erp.CreditMemoDocument: "CM"}[doc.Kind], "SO")
	row := map[string]any{
		"type": of, "orderId": doc.Number, "status": "Hold", "customerId": "10000", "customerName": "Someone", "customerOrder": nil, "customerRefNo": nil,
		"date": doc.ChangedAt.Format("2006-01-02T00:00:00"), "lastModified": doc.ChangedAt.UTC().Format(layout), "orderTotal": 1250.5, "currency": "DKK",
	}
	if doc.Ref != "" {
		row["customerRefNo"] = doc.Ref
	}
	return row
}
