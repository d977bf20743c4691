package watcher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/erp"
	"kvit/erp/odata"
	"kvit/erp/odata/odatatest"
)

// ledger is an ERP as its people see it, beside its stand-in.
type ledger struct {
	server *odatatest.Server
	make   func(common erp.Common) (erp.Connector, error)
	order  func(ref string, number int) odatatest.Row
	bill   func(ref string, number, order int) odatatest.Row
	orders string
	bills  string
	number string
	calls  int // a day; 0: no limit
}

func businessCentral(t *testing.T) ledger {
	const id = "7dbba574-5f69-4167-a43e-fb975045de15"
	server := odatatest.New(odatatest.Dialect{
		Root: "/api/v2.0/companies(" + id + ")", User: "kvit", Secret: "x", OneField: true,
		Company: odatatest.Row{"id": id, "name": "CRONUS"}, Upper: "externalDocumentNumber",
	}, "salesOrders", "salesInvoices")
	server.Page(7)
	address := listen(t, server)
	row := func(ref, number, order string) odatatest.Row {
		return odatatest.Row{"number": number, "externalDocumentNumber": ref, "orderNumber": order, "lastModifiedDateTime": time.Now().UTC()}
	}
	fields := odata.Fields{Collection: "salesOrders", Ref: "externalDocumentNumber", Number: "number", Changed: "lastModifiedDateTime"}
	bills := fields
	bills.Collection, bills.OrderNumber = "salesInvoices", "orderNumber"
	return ledger{
		server: server, orders: "salesOrders", bills: "salesInvoices", number: "number",
		make: odata.BusinessCentralOptions{
			Common:  odata.Common{BaseURL: address + "/api/v2.0", AllowPrivate: true, Batch: 40, PageSize: 500, Orders: fields, Invoices: bills},
			Company: id, CompanyName: "CRONUS", User: "kvit", AccessKey: config.NewSecret("x"),
		}.Make,
		order: func(ref string, number int) odatatest.Row { return row(ref, strconv.Itoa(number), "") },
		bill: func(ref string, number, order int) odatatest.Row {
			return row(ref, strconv.Itoa(number), strconv.Itoa(order))
		},
	}
}

func uniconta(t *testing.T) ledger {
	server := odatatest.New(odatatest.Dialect{Root: "/odata/1", User: "kvit", Secret: "x", OneField: true, V3: true, Sparse: true, Zoneless: true},
		"DebtorOrderClient", "DebtorInvoiceClient")
	address := listen(t, server)
	return ledger{
		server: server, orders: "DebtorOrderClient", bills: "DebtorInvoiceClient", number: "OrderNumber", calls: 5000,
		make: odata.UnicontaOptions{Common: odata.Common{
			BaseURL: address, AllowPrivate: true, Batch: 40,
			Orders:   odata.Fields{Collection: "DebtorOrderClient", Ref: "OurRef", Number: "OrderNumber"},
			Invoices: odata.Fields{Collection: "DebtorInvoiceClient", Ref: "OurRef", Number: "InvoiceNumber", OrderNumber: "OrderNumber"},
		}, Company: "1", User: "kvit", Password: config.NewSecret("x"), TimeZone: "UTC"}.Make,
		order: func(ref string, number int) odatatest.Row { return odatatest.Row{"OrderNumber": number, "OurRef": ref} },
		bill: func(ref string, number, order int) odatatest.Row {
			return odatatest.Row{"InvoiceNumber": number, "OrderNumber": order, "OurRef": ref, "TotalAmount": 10.5}
		},
	}
}

func listen(t *testing.T, handler http.Handler) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// A shop's life with its ERP: orders come, most are imported, many are invoiced before anybody has looked, people write references
// of their own, the ERP is down now and then, and kvit begins anew with every poll. In the end there is evidence of every order that was
// imported, with its number, and of no other.
func TestLifeWithAnERP(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) ledger{"BusinessCentral": businessCentral, "Uniconta": uniconta} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t)
			s := setup(t)
			random := rand.New(rand.NewPCG(7, 14))
			var want []string
			placed := 0
			l.server.Put(l.orders, l.order("", 1)) // somebody's
			for range 60 {
				for range random.IntN(20) {
					placed++
					want = append(want, s.place(t, l, random, placed)...)
				}
				if random.IntN(5) == 0 {
					l.server.Fail(random.IntN(3), 1+random.IntN(8), []int{429, 500, 503, 504, 401}[random.IntN(5)], nil)
				}
				s.pollAnew(t, l)
			}
			l.server.Fail(0, 0, 0, nil)
			s.pollAnew(t, l)
			require.ElementsMatch(t, want, s.evidence(t))
			require.Greater(t, len(want), 300)
			require.True(t, l.calls == 0 || s.status(t).Calls <= l.calls)
		})
	}
}

// place makes an order and what becomes of it in the ERP, and says what evidence there has to be.
func (s *stage) place(t *testing.T, l ledger, random *rand.Rand, n int) []string {
	t.Helper()
	ref := fmt.Sprintf("E%04d", n)
	number := 100_000 + n
	s.orders(t, ref)
	switch random.IntN(10) {
	case 0: // never imported; people write something like it
		l.server.Put(l.orders, l.order("WEB-"+ref+"0", number))
		l.server.Put(l.orders, l.order(ref, number+50_000))
		return nil
	case 1, 2, 3: // invoiced at once
		l.server.Put(l.bills, l.bill("WEB-"+ref, 200_000+n, number))
	default:
		l.server.Put(l.orders, l.order("WEB-"+ref, number))
	}
	return []string{fmt.Sprintf("%s order %d", ref, number)}
}

// pollAnew is a poll of a process that has just started, and then what judging does.
func (s *stage) pollAnew(t *testing.T, l ledger) {
	t.Helper()
	connector, err := l.make(erp.Common{Meter: s.meter, Wait: func(context.Context, time.Duration) error { return nil }})
	require.NoError(t, err)
	s.source.Connector, s.source.CallsPerDay = connector, l.calls
	s.ready(t)
	if _, err := s.watcher().Run(t.Context(), time.Now().Add(time.Minute)); err != nil {
		require.NotZero(t, erp.KindOf(err), "%v", err)
	}
	s.exec(t, `update orders o set imported = now(), erp = r.erp_order_number from kvit.erp_receipt r where r.order_ref = o.number and r.source = $1 and o.imported is null`, s.source.Name)
}
