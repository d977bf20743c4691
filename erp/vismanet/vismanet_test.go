package vismanet_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/erp"
	"kvit/erp/erptest"
	"kvit/erp/vismanet"
	"kvit/erp/vismanet/vismanettest"
)

var environment = configtest.Environment{"VISMA": vismanettest.Secret}

const lines = "shop:\n  orders: {table: public.orders, ref: order_number, placed_at: created_at}\nerp:\n  visma:\n    kind: visma_net\n    client_id: " +
	vismanettest.ClientID + "\n    client_secret: ${VISMA}\n    tenant_id: " + vismanettest.TenantID + "\n"

func options(t *testing.T, more ...string) vismanet.Options {
	t.Helper()
	return configtest.ERP(t, vismanet.Kind, lines+strings.Join(more, ""), environment).Settings.(vismanet.Options)
}

func subject(v *vismanettest.ERP, o vismanet.Options) erptest.Subject {
	o.BaseURL, o.TokenURL = v.BaseURL(), v.TokenURL()
	return erptest.Subject{ERP: v, Make: o.Make}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	for name, deviate := range map[string]func(*vismanettest.ERP){
		"AsDocumented": func(*vismanettest.ERP) {},
		"LaterOnly":    func(v *vismanettest.ERP) { v.Strict = true },
		"NoTotal":      func(v *vismanettest.ERP) { v.NoTotal, v.Offset = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			erptest.Suite{HTTP: true, Pages: true, Numbered: true, Token: true, New: func(t *testing.T) erptest.Subject {
				v := vismanettest.New(t)
				deviate(v)
				return subject(v, options(t))
			}}.Run(t)
		})
	}
}

type setup struct {
	*vismanettest.ERP
	connector erp.Connector
}

func start(t *testing.T, o vismanet.Options, common erp.Common) setup {
	t.Helper()
	v := vismanettest.New(t)
	connector, err := subject(v, o).Make(common)
	require.NoError(t, err)
	return setup{v, connector}
}

func (s setup) since(t *testing.T, from time.Time) (docs []erp.Document, err error) {
	t.Helper()
	err = s.connector.(erp.Follower).Since(t.Context(), "salesOrders", from, func(page []erp.Document) error {
		docs = append(docs, page...)
		return nil
	})
	return docs, err
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func order(n int, changed time.Time) erp.Document {
	return erp.Document{Kind: erp.OrderDocument, Ref: "WEB-" + strconv.Itoa(n), Number: fmt.Sprintf("%06d", n), ChangedAt: changed}
}

// Every order comes once, whatever the size of pages and however many changed at the same time.
func TestAllPagesOnce(t *testing.T) {
	t.Parallel()
	for _, at := range []func(i int) time.Time{
		func(int) time.Time { return noon.Add(123 * time.Millisecond) },
		func(i int) time.Time { return noon.Add(time.Duration(i) * 100 * time.Millisecond) },
		func(i int) time.Time { return noon.Add(time.Duration(i/50) * time.Minute) },
	} {
		for _, rows := range []int{7, 100} {
			s := start(t, options(t), erp.Common{})
			s.Page(rows)
			for i := range 230 {
				s.Put(order(i, at(i)))
			}
			docs, err := s.since(t, noon)
			require.NoError(t, err)
			count := map[string]int{}
			for _, d := range docs {
				count[d.Ref]++
			}
			require.Len(t, count, 230)
			require.Len(t, docs, 230)
		}
	}
}

// An order that changes while pages are read moves to their end: none behind it is skipped.
func TestRowsThatMove(t *testing.T) {
	t.Parallel()
	for _, apart := range []time.Duration{0, time.Minute} {
		s := start(t, options(t), erp.Common{})
		s.Page(10)
		for i := range 60 {
			s.Put(order(i, noon.Add(time.Duration(i)*apart)))
		}
		moved := 0
		s.Between = func() { // with the lock held
			if moved < 10 {
				s.Docs[moved].ChangedAt = noon.Add(2*time.Hour + time.Duration(moved)*apart)
				moved++
			}
		}
		docs, err := s.since(t, noon)
		require.NoError(t, err)
		refs := map[string]bool{}
		for _, d := range docs {
			refs[d.Ref] = true
		}
		require.Len(t, refs, 60)
	}
}

// Rows from before the watermark are handed over, so that the watcher sees that the filter was ignored.
func TestIgnoredWatermark(t *testing.T) {
	t.Parallel()
	s := start(t, options(t), erp.Common{})
	s.Put(order(1, noon.Add(-time.Hour)), order(2, noon))
	s.Deviate(erptest.IgnoresFilter)
	docs, err := s.since(t, noon)
	require.NoError(t, err)
	require.Len(t, docs, 2)
}

func TestDocument(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, "    order_types: [SO, BB]\n"), erp.Common{})
	s.Types = map[string]string{"000002": "BB", "000003": "XX", "000004": "RM"}
	s.Put(order(1, noon), order(2, noon), order(3, noon), order(4, noon))
	docs, err := s.since(t, noon)
	require.NoError(t, err)
	require.Equal(t, []erp.Document{
		{Kind: erp.OrderDocument, Ref: "WEB-1", Number: "SO 000001", ChangedAt: noon, Total: "1250.5"},
		{Kind: erp.OrderDocument, Ref: "WEB-2", Number: "BB 000002", ChangedAt: noon, Total: "1250.5"},
		{Kind: erp.CreditMemoDocument, Ref: "WEB-4", Number: "RM 000004", ChangedAt: noon, Total: "1250.5"},
	}, docs, "a type that nobody has named may be a quote")
}

func TestOtherFields(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]string{"": "WEB-1", "    ref_field: customerOrder\n": "", "    ref_field: orderId\n    ref_prefix: none\n": "000001"} {
		s := start(t, options(t, more), erp.Common{})
		s.Put(order(1, noon))
		docs, err := s.since(t, noon)
		require.NoError(t, err)
		require.Len(t, docs, 1)
		require.Equal(t, want, docs[0].Ref)
	}
}

// The limit that Visma tells of is kept, so that no request is turned away.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	now := noon
	s := start(t, options(t), erp.Common{
		Now:  func() time.Time { return now },
		Wait: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
	})
	s.Page(10)
	s.Now, s.Window, s.Limit = func() time.Time { return now }, 20*time.Second, 3
	for i := range 100 {
		s.Put(order(i, noon.Add(time.Duration(i)*time.Minute)))
	}
	docs, err := s.since(t, noon)
	require.NoError(t, err)
	require.Len(t, docs, 100)
	require.LessOrEqual(t, s.Requests(), 14, "a page is asked for once")

	s.Window, s.Limit = time.Hour, 1
	_, err = s.since(t, noon)
	var failed *erp.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, erp.Throttled, failed.Kind)
	require.Greater(t, failed.RetryAfter, 30*time.Minute, "so long a wait is the watcher's")
}

func TestProbe(t *testing.T) {
	t.Parallel()
	s := start(t, options(t), erp.Common{})
	_, err := s.connector.Probe(t.Context())
	require.Equal(t, erp.Unproven, erp.KindOf(err), "%v", err)
	s.Put(order(1, noon))
	proof, err := s.connector.Probe(t.Context())
	require.NoError(t, err)
	require.Contains(t, proof.Company, vismanettest.TenantID)
	s.Fail(0, 1, http.StatusForbidden, nil)
	_, err = s.connector.Probe(t.Context())
	require.Equal(t, erp.Unauthorized, erp.KindOf(err), "%v", err)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	o := options(t)
	require.Equal(t, vismanettest.Secret, o.ClientSecret.Reveal())
	o.ClientSecret = config.Secret{}
	require.Equal(t, vismanet.Options{
		ClientID: vismanettest.ClientID, TenantID: vismanettest.TenantID, Scope: vismanettest.Scope, RefField: "customerRefNo", OrderTypes: []string{"SO"},
		BaseURL: "https://salesorder.visma.net/api/v3", TokenURL: "https://connect.visma.com/connect/token",
	}, o)
	for name, test := range map[string]struct{ text, want string }{
		"NoTenant":   {strings.Replace(lines, "tenant_id", "tenant", 1), "erp.visma.tenant_id: is missing"},
		"Contract":   {strings.Replace(lines, vismanettest.TenantID, "C-4711", 1), "erp.visma.tenant_id: is not the id of a tenant"},
		"Secret":     {strings.Replace(lines, "${VISMA}", "x", 1), "erp.visma.client_secret: " + configtest.NotInFile},
		"Field":      {lines + "    ref_field: note\n", "erp.visma.ref_field: must be customerRefNo, customerOrder or orderId"},
		"Prefix":     {lines + "    ref_field: orderId\n", "erp.visma.ref_field: orderId needs ref_prefix, too: what the number begins with, or none"},
		"OrderTypes": {lines + "    order_types: [so]\n", "is not an order type such as SO"},
		"BaseURL":    {lines + "    base_url: http://visma.example\n", "erp.visma.base_url: " + configtest.MustBeHTTPS},
		"Unknown":    {lines + "    company: x\n", "erp.visma.company: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, strings.Join(configtest.Mistakes(t, vismanet.Kind, test.text, environment), "\n"), test.want)
		})
	}
}
