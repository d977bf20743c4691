package economic_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/erp"
	"kvit/erp/economic"
	"kvit/erp/economic/economictest"
	"kvit/erp/erptest"
)

var environment = configtest.Environment{"APP": economictest.AppSecret, "GRANT": economictest.Grant}

const lines = "shop:\n  orders: {table: public.orders, ref: order_number, placed_at: created_at}\nerp:\n  eco:\n    kind: economic\n" +
	"    app_secret_token: ${APP}\n    agreement_grant_token: ${GRANT}\n    agreement: 1234567\n"

func options(t *testing.T, more ...string) economic.Options {
	t.Helper()
	return configtest.ERP(t, economic.Kind, lines+strings.Join(more, ""), environment).Settings.(economic.Options)
}

func subject(t *testing.T, e *economictest.ERP, more ...string) erptest.Subject {
	t.Helper()
	o := options(t, more...)
	o.BaseURL = e.URL
	return erptest.Subject{ERP: e, Make: o.Make}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	erptest.Suite{HTTP: true, Pages: true, New: func(t *testing.T) erptest.Subject { return subject(t, economictest.New(t)) }}.Run(t)
}

type setup struct {
	*economictest.ERP
	connector erp.Connector
}

func start(t *testing.T, more ...string) setup {
	t.Helper()
	e := economictest.New(t)
	connector, err := subject(t, e, more...).Make(erp.Common{Wait: func(context.Context, time.Duration) error { return nil }})
	require.NoError(t, err)
	return setup{e, connector}
}

func (s setup) lookup(t *testing.T, refs ...string) []erp.Document {
	t.Helper()
	var docs []erp.Document
	require.NoError(t, s.connector.(erp.Finder).Lookup(t.Context(), refs, func(page []erp.Document) error {
		docs = append(docs, page...)
		return nil
	}))
	return docs
}

func order(ref, number string) erp.Document {
	return erp.Document{Kind: erp.OrderDocument, Ref: ref, Number: number}
}

// evidence is what the documents are evidence of.
func evidence(docs []erp.Document) (list []string) {
	for _, d := range docs {
		if kind, number, ok := d.Evidence(); ok {
			list = append(list, kind+" "+number)
		}
	}
	return list
}

// In each state of its life an order is found, whether it was sent or not.
func TestLifeOfAnOrder(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Put(order("WEB-1", "101"), order("WEB-2", "102"))
	require.Equal(t, []string{"order 101"}, evidence(s.lookup(t, "WEB-1")))
	s.Send("101")
	require.Equal(t, []string{"order 101"}, evidence(s.lookup(t, "WEB-1")))
	s.Upgrade("101", "31")
	s.Upgrade("102", "32")
	require.Equal(t, []string{"order 101", "invoice draft 31"}, evidence(s.lookup(t, "WEB-1")))
	require.Equal(t, []string{"invoice draft 32"}, evidence(s.lookup(t, "WEB-2")), "an order that was never sent is not archived")
	s.Book("31", "5001")
	s.Book("32", "5002")
	require.Equal(t, []string{"order 101", "invoice 5001"}, evidence(s.lookup(t, "WEB-1")))
	require.Equal(t, []string{"invoice 5002"}, evidence(s.lookup(t, "WEB-2")))
}

// An order that moves on while the collections are asked is seen in one of them.
func TestMovesMeanwhile(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Put(order("WEB-1", "101"))
	s.Between = func(path string) {
		if path == "/orders/drafts" { // it was sent a moment before
			s.Move("101", "/orders/sent")
		}
	}
	require.Equal(t, []string{"order 101"}, evidence(s.lookup(t, "WEB-1")))
}

func TestDocument(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Put(order("web-1", "101"), erp.Document{Kind: erp.CreditMemoDocument, Ref: "WEB-1", Number: "5001"})
	require.Equal(t, []erp.Document{
		{Kind: erp.OrderDocument, Ref: "web-1", Number: "101", Total: "1250.25"},
		{Kind: erp.CreditMemoDocument, Ref: "WEB-1", Number: "5001", Total: "-1250.25"},
	}, s.lookup(t, "WEB-1"), "in any case; a credit note has a negative amount and no other sign")
}

// The reference stands in another property, or is the order's own number.
func TestOtherFields(t *testing.T) {
	t.Parallel()
	t.Run("Heading", func(t *testing.T) {
		t.Parallel()
		s := start(t, "    ref_field: notes.heading\n")
		s.Heading = true
		s.Put(order("WEB-1", "101"), erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-1", Number: "5001"})
		require.Equal(t, []string{"order 101", "invoice 5001"}, evidence(s.lookup(t, "WEB-1")))
	})
	t.Run("OwnNumber", func(t *testing.T) {
		t.Parallel()
		s := start(t, "    ref_field: orderNumber\n    ref_prefix: none\n")
		s.Put(order("", "101"), erp.Document{Kind: erp.InvoiceDocument, Ref: "101", Number: "5001"}, erp.Document{Kind: erp.InvoiceDocument, Ref: "7", Number: "101"})
		docs := s.lookup(t, "101", "E102", "0101")
		require.Equal(t, []string{"order 101", "invoice 5001"}, evidence(docs), "an invoice's number is no order's")
		require.Equal(t, "101", docs[0].Ref)
	})
	t.Run("OrdersAlone", func(t *testing.T) {
		t.Parallel()
		s := start(t, "    invoice_ref_field: none\n")
		s.Put(erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-1", Number: "5001"})
		require.Empty(t, s.lookup(t, "WEB-1"))
		require.Equal(t, 3, s.Requests())
	})
}

// What filters have a meaning for is escaped: such a reference finds its order, and nothing else.
func TestEscapes(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{"WEB-$or:references.other$ne:x", "WEB-(1)", "WEB-*", "WEB-[1,2]", "WEB-$", "WEB-$$(", "WEB-a+b c%20&pagesize=1", "WEB-æøå"} {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.Put(order(ref, "101"), order("WEB-2", "102"), order("WEB-", "103"))
			require.Equal(t, []string{"order 101"}, evidence(s.lookup(t, ref)))
			require.ElementsMatch(t, []string{"order 101", "order 102"}, evidence(s.lookup(t, ref, "WEB-2")))
		})
	}
}

// Long references are asked for in as many questions as addresses can be long.
func TestLongReferences(t *testing.T) {
	t.Parallel()
	s := start(t)
	refs := make([]string, 20)
	for i := range refs {
		refs[i] = "WEB-" + strings.Repeat("ø", 190) + string(rune('a'+i))
		s.Put(order(refs[i], "1"+string(rune('0'+i%10))))
	}
	require.Len(t, s.lookup(t, refs...), 20)
}

func TestProbe(t *testing.T) {
	t.Parallel()
	t.Run("OneRoleMissing", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.Missing["/invoices/booked"] = true
		_, err := s.connector.Probe(t.Context())
		require.Equal(t, erp.Unauthorized, erp.KindOf(err), "%v", err)
	})
	t.Run("NoDocuments", func(t *testing.T) {
		t.Parallel()
		proof, err := start(t).connector.Probe(t.Context())
		require.NoError(t, err, "the agreement's number is the proof")
		require.Equal(t, "agreement 1234567, 5 collections readable", proof.Company)
	})
	t.Run("Tokens", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.Deviate(erptest.RefusesToken)
		_, err := s.connector.Probe(t.Context())
		require.Equal(t, erp.Unauthorized, erp.KindOf(err), "%v", err)
		require.Equal(t, 1, s.Requests(), "there are no other ones")
	})
}

// What is no collection is not an empty one.
func TestNoCollection(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"Empty": "{}", "Null": `{"collection":null,"pagination":{}}`, "NoPagination": `{"collection":[]}`, "NoNumber": `{"collection":[{}],"pagination":{}}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			desk := &erptest.Desk{}
			o := options(t)
			o.BaseURL = desk.Start(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }, "")
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
	require.Equal(t, []string{economictest.AppSecret, economictest.Grant}, []string{o.AppSecret.Reveal(), o.Grant.Reveal()})
	o.AppSecret, o.Grant = config.Secret{}, config.Secret{}
	require.Equal(t, economic.Options{Agreement: economictest.Agreement, RefField: "references.other", InvoiceRefField: "references.other", BaseURL: "https://restapi.e-conomic.com"}, o)
	require.Equal(t, 250, configtest.ERP(t, economic.Kind, lines, environment).RefMaxLength)
	for name, test := range map[string]struct{ text, want string }{
		"NoAgreement": {strings.Replace(lines, "    agreement: 1234567\n", "", 1), "erp.eco.agreement: is missing"},
		"Secret":      {strings.Replace(lines, "${GRANT}", "x", 1), "erp.eco.agreement_grant_token: " + configtest.NotInFile},
		"Field":       {lines + "    ref_field: notes\n", "erp.eco.ref_field: must be references.other, notes.heading or orderNumber"},
		"Prefix":      {lines + "    ref_field: orderNumber\n", "erp.eco.ref_field: orderNumber needs ref_prefix, too"},
		"BaseURL":     {lines + "    base_url: http://eco.example\n", "erp.eco.base_url: " + configtest.MustBeHTTPS},
		"Unknown":     {lines + "    company: x\n", "erp.eco.company: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, strings.Join(configtest.Mistakes(t, economic.Kind, test.text, environment), "\n"), test.want)
		})
	}
}
