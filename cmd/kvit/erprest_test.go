package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erp"
	"kvit/erp/economic/economictest"
	"kvit/erp/fortnox/fortnoxtest"
	"kvit/erp/vismanet/vismanettest"
	"kvit/store/storetest"
)

// The daemon asks three ERPs, and marks the orders that they have: one as an order, one that an invoice has
// swallowed, one whose invoice names it. What only begins like an order's reference is no order.
func TestERPsByREST(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secretFile := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return "file:" + path
	}
	visma, economic, fortnox := vismanettest.New(t), economictest.New(t), fortnoxtest.New(t)
	k := install(t, storetest.URL(t), fmt.Sprintf(`
database: {url: "${DATABASE_URL}"}
ops: {listen: "%%ADDRESS%%"}
shop:
  orders: {table: orders, ref: number, placed_at: created_at, imported_at: imported_at, erp_number: erp_number, erased_at: erased_at}
erp:
  visma: {kind: visma_net, poll: 10s, client_id: %s, client_secret: %q, tenant_id: %s, base_url: %q, token_url: %q}
  eco: {kind: economic, poll: 10s, app_secret_token: %q, agreement_grant_token: %q, agreement: %d, base_url: %q}
  fx: {kind: fortnox, poll: 10s, client_id: %s, client_secret: %q, tenant_id: %d, base_url: %q, token_url: %q}
`,
		vismanettest.ClientID, secretFile("visma", vismanettest.Secret), vismanettest.TenantID, visma.BaseURL(), visma.TokenURL(),
		secretFile("app", economictest.AppSecret), secretFile("grant", economictest.Grant), economictest.Agreement, economic.URL,
		fortnoxtest.ClientID, secretFile("fortnox", fortnoxtest.Secret), fortnoxtest.TenantID, fortnox.BaseURL(), fortnox.TokenURL()))
	k.mustCall("migrate", "up")
	pool := k.pool()
	_, err := pool.Exec(t.Context(), shopTable+`; insert into orders (number, created_at) select 'E' || i, now() - interval '1 hour' from generate_series(1, 4) i`)
	require.NoError(t, err)

	order := func(ref, number string) erp.Document {
		return erp.Document{Kind: erp.OrderDocument, Ref: ref, Number: number}
	}
	visma.Put(order("WEB-E1", "000223"), order("WEB-E44", "000224"))
	economic.Put(order("web-e2", "102"))
	economic.Upgrade("102", "31")
	fortnox.Put(order("WEB-E40", "40"), erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-E3", Number: "901", OrderNumber: "7"}, erp.Document{Kind: erp.CreditMemoDocument, Ref: "WEB-E4", Number: "902"})

	for name, proved := range map[string]string{"visma": "tenant " + vismanettest.TenantID, "eco": "agreement 1234567", "fx": "company 211766"} {
		require.Contains(t, k.mustCall("erp", "probe", name), proved)
	}
	require.Contains(t, k.mustCall("erp", "lookup", "eco", "E2"), "would be marked")
	code, stdout, _ := k.call("erp", "lookup", "fx", "E4")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "no evidence")

	k.start()
	k.waitReady()
	const marked = `select count(*) from orders where imported_at is not null and (number, coalesce(erp_number, '')) in (('E1', '000223'), ('E2', ''), ('E3', '7'))`
	require.Eventually(t, func() bool { return count(t, pool, marked) == 3 }, waitFor, tick)
	require.Zero(t, count(t, pool, `select count(*) from orders where number = 'E4' and imported_at is not null`))
}
