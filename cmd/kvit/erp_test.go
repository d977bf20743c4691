package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp/odata/odatatest"
	"kvit/store/storetest"
)

const erpCompany = "7dbba574-5f69-4167-a43e-fb975045de15"

// newBusinessCentral is a stand-in that the file's secret fits.
func newBusinessCentral() *odatatest.Server {
	return odatatest.New(odatatest.Dialect{
		Root: "/api/v2.0/companies(" + erpCompany + ")", Tokens: true, User: "kvit", Secret: secret, OneField: true,
		Company: odatatest.Row{"id": erpCompany, "name": "CRONUS"}, Upper: "externalDocumentNumber",
	}, "salesOrders", "salesInvoices")
}

func bcRow(ref, number, order string) odatatest.Row {
	return odatatest.Row{"number": number, "externalDocumentNumber": ref, "orderNumber": order, "status": "Open", "lastModifiedDateTime": time.Now().UTC()}
}

// erpInstall is a kvit beside a shop with orders and the stand-in.
func erpInstall(t *testing.T, bc http.Handler, refs ...string) *kvit {
	t.Helper()
	address := serve(t, bc)
	k := install(t, storetest.URL(t), fmt.Sprintf(`
database: {url: "${DATABASE_URL}"}
log: {level: info, format: json}
ops: {listen: "%%ADDRESS%%"}
shop:
  orders: {table: public.orders, ref: number, placed_at: placed, imported_at: imported, erp_number: erp, erased_at: erased, awaiting_import: "status = 'paid'"}
erp:
  bc: {kind: business_central, base_url: %q, allow_private: true, token_url: %q, company: %s, company_name: CRONUS, client_id: kvit, client_secret: "${CRM_SECRET}", poll: 10s}
`, address, address+"/token", erpCompany))
	k.execute(`create table public.orders (number text primary key, status text not null default 'paid', placed timestamptz not null default now() - interval '5 hours', imported timestamptz, erp text, erased timestamptz)`)
	k.mustCall("migrate", "up")
	k.execute(`insert into public.orders (number) select unnest($1::text[])`, refs)
	return k
}

func TestERPCommands(t *testing.T) {
	t.Parallel()
	bc := newBusinessCentral()
	bc.Put("salesOrders", bcRow("WEB-E1", "101001", ""))
	bc.Put("salesInvoices", bcRow("WEB-E2", "103001", "101002"))
	bc.Put("salesOrders", bcRow("WEB-E30", "101003", ""))
	k := erpInstall(t, bc, "E1", "E2", "E3")

	require.Contains(t, k.mustCall("erp", "probe", "bc"), "company CRONUS")
	out := k.mustCall("erp", "lookup", "bc", "E1", "E2")
	require.Contains(t, out, "E1: would be marked as imported\n  order 101001")
	require.Contains(t, out, `invoice 103001 of order 101002, reference "WEB-E2": yes: order 101002`)
	code, out, _ := k.call("erp", "lookup", "bc", "E3", "E9")
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "E3: no evidence: the order stays open\n")
	require.Contains(t, out, "E9: no evidence")
	out = k.mustCall("orders", "--awaiting")
	require.Contains(t, out, "E1")
	require.Contains(t, out, "LATE")
	require.NotContains(t, out, "CONFLICT")
	require.JSONEq(t, `{"awaiting": null, "incomplete": null, "conflicts": []}`, k.mustCall("orders", "--conflict", "--json"))
	require.Contains(t, k.mustCall("erp", "list"), "not asked yet")
	require.Zero(t, count(t, k.pool(), `select count(*) from kvit.erp_receipt`), "asking changes nothing")

	code, _, errs := k.call("erp", "probe", "elsewhere")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, `no ERP is called "elsewhere"`)
}

// kvit run does all by itself: it marks what the ERP has, with the right number, and what it has not stays open.
func TestRunMarksOrders(t *testing.T) {
	t.Parallel()
	bc := newBusinessCentral()
	bc.Put("salesOrders", bcRow("web-e1", "101001", ""))
	bc.Put("salesInvoices", bcRow("WEB-E2", "103001", "101002"))
	bc.Put("salesOrders", bcRow("WEB-E30", "101003", ""))
	k := erpInstall(t, bc, "E1", "E2", "E3")
	pool := k.pool()
	k.start()
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from public.orders where (number, erp) in (('E1', '101001'), ('E2', '101002')) and imported is not null`) == 2
	}, time.Minute, 50*time.Millisecond)
	require.Zero(t, count(t, pool, `select count(*) from public.orders where number = 'E3' and imported is not null`))
	require.Contains(t, k.mustCall("erp", "list"), "ok")
	require.Eventually(t, func() bool {
		_, body := k.get("/metrics")
		return strings.Contains(body, `kvit_erp_silent{source="bc"} 0`)
	}, time.Minute, 100*time.Millisecond)
}

func TestCheckProvesERPs(t *testing.T) {
	t.Parallel()
	bc := newBusinessCentral()
	bc.Company = odatatest.Row{"id": erpCompany, "name": "CRONUS Test"}
	k := erpInstall(t, bc, strings.Repeat("9", 31))
	code, out, _ := k.call("check")
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "erp.bc: is not proved: the company is called otherwise")
	require.Contains(t, out, "erp.bc.ref_max_length: orders that wait have references of 31 characters")
}
