package fortnox_test

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
	"kvit/erp/fortnox"
	"kvit/erp/fortnox/fortnoxtest"
)

var environment = configtest.Environment{"FORTNOX": fortnoxtest.Secret}

const lines = "shop:\n  orders: {table: public.orders, ref: order_number, placed_at: created_at}\nerp:\n  fx:\n    kind: fortnox\n    client_id: " +
	fortnoxtest.ClientID + "\n    client_secret: ${FORTNOX}\n    tenant_id: 211766\n"

func options(t *testing.T, more ...string) fortnox.Options {
	t.Helper()
	return configtest.ERP(t, fortnox.Kind, lines+strings.Join(more, ""), environment).Settings.(fortnox.Options)
}

func subject(t *testing.T, f *fortnoxtest.ERP, more ...string) erptest.Subject {
	t.Helper()
	o := options(t, more...)
	o.BaseURL, o.TokenURL = f.BaseURL(), f.TokenURL()
	return erptest.Subject{ERP: f, Make: o.Make}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	for name, contains := range map[string]bool{"BeginsWith": false, "Contains": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			erptest.Suite{HTTP: true, Token: true, Invoices: true, New: func(t *testing.T) erptest.Subject {
				f := fortnoxtest.New(t)
				f.Contains = contains
				return subject(t, f)
			}}.Run(t)
		})
	}
}

type setup struct {
	*fortnoxtest.ERP
	connector erp.Connector
}

func start(t *testing.T, more ...string) setup {
	t.Helper()
	f := fortnoxtest.New(t)
	connector, err := subject(t, f, more...).Make(erp.Common{Wait: func(context.Context, time.Duration) error { return nil }})
	require.NoError(t, err)
	return setup{f, connector}
}

func (s setup) lookup(t *testing.T, refs ...string) (docs []erp.Document, err error) {
	t.Helper()
	err = s.connector.(erp.Finder).Lookup(t.Context(), refs, func(page []erp.Document) error {
		docs = append(docs, page...)
		return nil
	})
	return docs, err
}

func order(ref, number string) erp.Document {
	return erp.Document{Kind: erp.OrderDocument, Ref: ref, Number: number}
}

// A search for WEB-1 finds WEB-10 and all others that begin so: every page of them is read, and the one that counts is whole.
func TestManyBeginSo(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Page(100)
	for i := range 350 {
		s.Put(order("WEB-1"+strconv.Itoa(1000+i), strconv.Itoa(1000+i)))
	}
	s.Put(order("web-1", "7"))
	docs, err := s.lookup(t, "WEB-1")
	require.NoError(t, err)
	require.Len(t, docs, 351)
	var whole []string
	for _, d := range docs {
		if folded, ok := (erp.Matcher{Prefix: "WEB-", MaxLength: 30}).Strip(d.Ref); ok && folded == "1" {
			whole = append(whole, d.Number)
		}
	}
	require.Equal(t, []string{"7"}, whole)
	require.False(t, s.connector.Traits().Exact, "these rows are no sign of an ignored filter")
}

func TestPages(t *testing.T) {
	t.Parallel()
	fill := func(t *testing.T) setup {
		s := start(t)
		s.Page(2)
		for i := range 5 {
			s.Put(order("WEB-1", strconv.Itoa(i+1)))
		}
		_, err := s.lookup(t, "WEB-1")
		require.NoError(t, err)
		return s
	}
	t.Run("Repeated", func(t *testing.T) {
		t.Parallel()
		s := fill(t)
		s.Deviate(erptest.RepeatsPage)
		_, err := s.lookup(t, "WEB-1")
		require.Equal(t, erp.Malformed, erp.KindOf(err), "%v", err)
	})
	t.Run("SearchIgnored", func(t *testing.T) {
		t.Parallel()
		s := fill(t)
		s.Deviate(erptest.IgnoresFilter)
		_, err := s.lookup(t, "WEB-2")
		require.Equal(t, erp.Malformed, erp.KindOf(err), "the whole ERP is not read for each reference: %v", err)
	})
	t.Run("SecondFails", func(t *testing.T) {
		t.Parallel()
		s := fill(t)
		s.Fail(1, 100, http.StatusInternalServerError, nil)
		_, err := s.lookup(t, "WEB-1")
		require.Equal(t, erp.Unreachable, erp.KindOf(err), "%v", err)
	})
}

// A reference that was cut is handed over as it is, and matches nothing.
func TestCutReference(t *testing.T) {
	t.Parallel()
	s := start(t)
	long := "WEB-" + strings.Repeat("1", 30)
	s.Put(order(long, "7"))
	docs, err := s.lookup(t, long[:30])
	require.NoError(t, err)
	require.Len(t, docs, 1)
	_, ok := erp.Matcher{Prefix: "WEB-", MaxLength: configtest.ERP(t, fortnox.Kind, lines, environment).RefMaxLength}.Strip(docs[0].Ref)
	require.False(t, ok)
}

// An invoice that has the reference is read itself: it tells its order, and whether it is a credit note.
func TestInvoice(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Put(order("WEB-1", "7"), erp.Document{Kind: erp.InvoiceDocument, Ref: "web-1", Number: "901", OrderNumber: "7"},
		erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-1", Number: "902"}, erp.Document{Kind: erp.CreditMemoDocument, Ref: "WEB-1", Number: "903", OrderNumber: "7"},
		erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-12", Number: "904", OrderNumber: "8"}, erp.Document{Kind: erp.CreditMemoDocument, Ref: "WEB-12", Number: "905"})
	docs, err := s.lookup(t, "WEB-1")
	require.NoError(t, err)
	require.Equal(t, []erp.Document{
		{Kind: erp.OrderDocument, Ref: "WEB-1", Number: "7", Total: "1250.25"},
		{Kind: erp.InvoiceDocument, Ref: "web-1", Number: "901", OrderNumber: "7", Total: "1250.25"},
		{Kind: erp.InvoiceDocument, Ref: "WEB-1", Number: "902", Total: "1250.25"},
		{Kind: erp.CreditMemoDocument, Ref: "WEB-1", Number: "903", OrderNumber: "7", Total: "-1250.25"},
		{Kind: erp.InvoiceDocument, Ref: "WEB-12", Number: "904", Total: "1250.25"},
		{Kind: erp.CreditMemoDocument, Ref: "WEB-12", Number: "905", Total: "-1250.25"},
	}, docs)
	require.Equal(t, 6, s.Requests(), "a token, two searches, three invoices")
}

// The reference stands in another member, or is the order's own number. The stand-in has "2:" before the second reference.
func TestOtherFields(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]struct {
		ref  string
		docs []string
	}{
		"    ref_field: ExternalInvoiceReference2\n":               {"2:WEB-1", []string{"order 7", "invoice 901"}},
		"    ref_field: DocumentNumber\n    ref_prefix: none\n":    {"7", []string{"order 7"}},
		"    invoice_ref_field: ExternalInvoiceReference2\n":       {"WEB-1", []string{"order 7"}},
		"    invoice_ref_field: none\n    ref_max_length: 40\n":    {"WEB-1", []string{"order 7"}},
		"    ref_field: ExternalInvoiceReference1\n    poll: 1h\n": {"WEB-1", []string{"order 7", "invoice 901"}},
	} {
		s := start(t, more)
		s.Put(order("WEB-1", "7"), erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-1", Number: "901"}, erp.Document{Kind: erp.InvoiceDocument, Ref: "x", Number: "7"})
		docs, err := s.lookup(t, want.ref)
		require.NoError(t, err)
		var found []string
		for _, d := range docs {
			require.Equal(t, want.ref, d.Ref)
			found = append(found, d.Kind+" "+d.Number)
		}
		require.Equal(t, want.docs, found, more)
	}
}

// 25 requests in any 5 seconds are kept, so that none is turned away.
func TestRate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	f := fortnoxtest.New(t)
	f.Limited, f.Now = true, func() time.Time { return now }
	connector, err := subject(t, f).Make(erp.Common{
		Now:  func() time.Time { return now },
		Wait: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
	})
	require.NoError(t, err)
	began := now
	s := setup{f, connector}
	for range 10 {
		refs := make([]string, 10)
		for i := range refs {
			refs[i] = fmt.Sprintf("WEB-%d", i)
		}
		_, err := s.lookup(t, refs...)
		require.NoError(t, err)
	}
	require.Equal(t, 201, f.Requests())
	require.Zero(t, f.Throttle)
	require.Less(t, now.Sub(began), time.Minute)
}

func TestProbe(t *testing.T) {
	t.Parallel()
	t.Run("NoDocuments", func(t *testing.T) {
		t.Parallel()
		proof, err := start(t).connector.Probe(t.Context())
		require.NoError(t, err, "the company's number is the proof")
		require.Equal(t, "company 211766, orders and invoices readable", proof.Company)
	})
	t.Run("OneScopeMissing", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.Hidden["/invoices"] = true
		_, err := s.connector.Probe(t.Context())
		require.Equal(t, erp.Unauthorized, erp.KindOf(err), "%v", err)
	})
	t.Run("OtherCompany", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.Deviate(erptest.OtherCompany)
		_, err := s.connector.Probe(t.Context())
		require.Equal(t, erp.Misconfigured, erp.KindOf(err), "%v", err)
	})
}

// What is no list is not an empty one.
func TestNoList(t *testing.T) {
	t.Parallel()
	const meta = `"MetaInformation":{"@TotalResources":1,"@TotalPages":1,"@CurrentPage":`
	for name, body := range map[string]string{
		"Empty": "{}", "Error": `{"ErrorInformation":{"error":1}}`, "NoMeta": `{"Orders":[]}`, "NoOrders": "{" + meta + "1}}",
		"EmptyPage": `{"MetaInformation":{"@TotalPages":2,"@CurrentPage":1},"Orders":[]}`,
		"NoNumber":  "{" + meta + `1},"Orders":[{}]}`, "OtherPage": "{" + meta + `2},"Orders":[{"DocumentNumber":"1"}]}`, "OddNumber": "{" + meta + `1},"Orders":[{"DocumentNumber":{}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			desk := &erptest.Desk{}
			o := options(t)
			o.BaseURL = desk.Start(t, func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodPost {
					body := `{"access_token":"x","token_type":"bearer","expires_in":3600}`
					_, _ = w.Write([]byte(body))
					return
				}
				_, _ = w.Write([]byte(body))
			}, "")
			o.TokenURL = o.BaseURL
			connector, err := o.Make(erp.Common{})
			require.NoError(t, err)
			err = connector.(erp.Finder).Lookup(t.Context(), []string{"WEB-1"}, func([]erp.Document) error { return nil })
			require.Equal(t, erp.Malformed, erp.KindOf(err), "%v", err)
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	o := options(t)
	require.Equal(t, fortnoxtest.Secret, o.ClientSecret.Reveal())
	o.ClientSecret = config.Secret{}
	require.Equal(t, fortnox.Options{
		ClientID: fortnoxtest.ClientID, TenantID: fortnoxtest.TenantID, Scope: fortnoxtest.Scope, RefField: "ExternalInvoiceReference1", InvoiceRefField: "ExternalInvoiceReference1",
		BaseURL: "https://api.fortnox.se/3", TokenURL: "https://apps.fortnox.se/oauth-v1/token",
	}, o)
	require.Equal(t, 30, configtest.ERP(t, fortnox.Kind, lines, environment).RefMaxLength)
	for name, test := range map[string]struct{ text, want string }{
		"NoTenant": {strings.Replace(lines, "    tenant_id: 211766\n", "", 1), "erp.fx.tenant_id: is missing"},
		"Secret":   {strings.Replace(lines, "${FORTNOX}", "x", 1), "erp.fx.client_secret: " + configtest.NotInFile},
		"Field":    {lines + "    ref_field: YourOrderNumber\n", "erp.fx.ref_field: must be ExternalInvoiceReference1, ExternalInvoiceReference2 or DocumentNumber"},
		"BaseURL":  {lines + "    base_url: http://fortnox.example\n", "erp.fx.base_url: " + configtest.MustBeHTTPS},
		"Unknown":  {lines + "    company: x\n", "erp.fx.company: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, strings.Join(configtest.Mistakes(t, fortnox.Kind, test.text, environment), "\n"), test.want)
		})
	}
}
