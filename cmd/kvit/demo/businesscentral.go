package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"kvit/erp/odata/odatatest"
)

// The company that the stand-in of Business Central has.
const (
	companyID   = "7dbba574-5f69-4167-a43e-fb975045de15"
	companyName = "Demo A/S"
)

// businessCentral is an ERP that kvit asks by a connector. Now and then it is busy, and what people do in it is seen there: an order
// is invoiced before kvit has looked, is there twice, or is another shop's.
type businessCentral struct {
	server *odatatest.Server
	secret string
	http   *receiver
}

func startBusinessCentral(ctx context.Context) (*businessCentral, error) {
	b := &businessCentral{secret: rand.Text()}
	b.server = odatatest.New(odatatest.Dialect{
		Root: "/api/v2.0/companies(" + companyID + ")", Tokens: true, User: "kvit", Secret: b.secret, OneField: true,
		Company: odatatest.Row{"id": companyID, "name": companyName}, Upper: "externalDocumentNumber",
	}, "salesOrders", "salesInvoices")
	var err error
	b.http, err = serve(ctx, &busy{next: b.server, nth: 40})
	return b, err
}

// busy refuses each nth request.
type busy struct {
	next http.Handler
	nth  int64
	came atomic.Int64
}

// ServeHTTP passes the request on, or asks to come back.
func (b *busy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.came.Add(1)%b.nth != 0 {
		b.next.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "invented work", http.StatusServiceUnavailable)
}

// take imports the nth order; what comes with some of them must change nothing.
func (b *businessCentral) take(n int, ref, number string) {
	switch {
	case n%9 == 1:
		b.put("salesOrders", ref+"1", "SO-X"+number[3:], "") // another order, whose reference begins alike
	case n%9 == 3:
		b.put("salesInvoices", ref, "INV"+number[2:], number) // invoiced between two polls: it has left the orders
		return
	case n%9 == 7:
		b.server.Put("salesOrders", b.row("SHOP2-"+ref, "SO-Y"+number[3:], "")) // an order of some other shop
	}
	b.put("salesOrders", ref, number, "")
	if n%9 == 5 {
		b.put("salesOrders", ref, number+"-X", "") // imported twice
	}
}

func (b *businessCentral) put(collection, ref, number, order string) {
	b.server.Put(collection, b.row("WEB-"+ref, number, order))
}

func (b *businessCentral) row(ref, number, order string) odatatest.Row {
	return odatatest.Row{
		"id": strings.ToLower(number), "number": number, "externalDocumentNumber": ref, "orderNumber": order, "status": "Open",
		"lastModifiedDateTime": time.Now().UTC(), "customerName": fmt.Sprintf("Customer of %s", number),
	}
}

func (b *businessCentral) stop() error { return b.http.server.Close() }
