package odata_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/erp"
	"kvit/erp/odata"
	"kvit/erp/odata/odatatest"
)

// connect makes a connector to a stand-in of a system, whose configuration ends with more keys.
func connect(t *testing.T, name, more string) (*bench, erp.Connector) {
	t.Helper()
	s := systems[name]
	s.yaml = strings.TrimSuffix(strings.TrimSpace(s.yaml), "}") + more + "}"
	server := odatatest.New(s.dialect, s.orders, s.invoices)
	c, err := settings(t, s, serve(t, server)).Make(erp.Common{})
	require.NoError(t, err)
	return &bench{server, s}, c
}

func lookup(t *testing.T, c erp.Connector, refs ...string) (docs []erp.Document, err error) {
	t.Helper()
	finder, ok := c.(erp.Finder)
	require.True(t, ok)
	return docs, finder.Lookup(t.Context(), refs, func(page []erp.Document) error {
		docs = append(docs, page...)
		return nil
	})
}

// What nobody needs is not even asked for.
func TestNothingPersonalIsSelected(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"BusinessCentral", "NAV", "NAVv3"} {
		b, c := connect(t, name, "")
		b.Put(erp.Document{Kind: erp.OrderDocument, Ref: "WEB-1", Number: "101"})
		var asked []string
		spy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Query().Get("$select"))
			b.ServeHTTP(w, r)
		}))
		t.Cleanup(spy.Close)
		c, err := settings(t, b.system, spy.URL).Make(erp.Common{})
		require.NoError(t, err)
		_, err = lookup(t, c, "WEB-1")
		require.NoError(t, err)
		require.Contains(t, strings.Join(asked, " "), b.system.number)
		require.NotContains(t, strings.ToLower(strings.Join(asked, " ")), "name")
	}
}

func TestProbeNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		system, more string
		prepare      func(b *bench)
		kind         erp.ErrorKind
		says         string
	}{
		"FieldIsMissing": {"NAV", "", func(b *bench) {
			b.Server.Put("WebSalesOrders", odatatest.Row{"No": "1", "Document_Type": "Order"})
		}, erp.Refused, ""}, // it refuses $select of what it has not
		"CaseOfCompany": {"NAV", "", func(b *bench) { b.Company = odatatest.Row{"Name": "CRONUS DANMARK A/S"} }, erp.Unproven, "another case"},
		"NameOfCompany": {"BusinessCentral", "", func(b *bench) { b.Company = odatatest.Row{"id": companyID, "name": "My Company"} }, erp.Unproven, "called otherwise"},
		"NoDocuments":   {"Uniconta", "", func(*bench) {}, erp.Unproven, "no documents"},
		"ProbeDocument": {"Uniconta", `, probe_document: "4711"`, func(b *bench) {
			b.Put(erp.Document{Kind: erp.OrderDocument, Ref: "WEB-1", Number: "101"})
		}, erp.Unproven, "probe_document"},
		"Collection":  {"BusinessCentral", `, orders: {collection: webOrders}`, func(*bench) {}, erp.Misconfigured, "not published"},
		"Credentials": {"NAV", "", func(b *bench) { b.Secret = "another" }, erp.Unauthorized, "credentials"},
		"Token":       {"BusinessCentral", "", func(b *bench) { b.Secret = "another" }, erp.Unauthorized, "client id or secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, connector := connect(t, c.system, c.more)
			c.prepare(b)
			_, err := connector.Probe(t.Context())
			require.Equal(t, c.kind, erp.KindOf(err), "%v", err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestProbeDocumentIsFound(t *testing.T) {
	t.Parallel()
	for name := range systems {
		b, c := connect(t, name, `, probe_document: "101"`)
		b.Put(erp.Document{Kind: erp.OrderDocument, Ref: "WEB-1", Number: "101"})
		proof, err := c.Probe(t.Context())
		require.NoError(t, err, name)
		require.Contains(t, proof.Company, "probe_document")
	}
}

// Answers with status 200 that are no list of documents are no empty list either.
func TestAnswersOfOtherForms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		docs int
		kind erp.ErrorKind
	}{
		"Empty":         {`{"value":[]}`, 0, 0},
		"V4":            {`{"@odata.context":"x","value":[{"OrderNumber":5012,"OurRef":"WEB-1"}]}`, 1, 0},
		"PlainList":     {`[{"OrderNumber":5012,"OurRef":"WEB-1"}]`, 1, 0},
		"Verbose":       {`{"d":{"results":[{"OrderNumber":5012,"OurRef":"WEB-1"}]}}`, 1, 0},
		"VerboseList":   {`{"d":[{"OrderNumber":5012,"OurRef":"WEB-1"}]}`, 1, 0},
		"ByteOrderMark": {"\xef\xbb\xbf" + `{"value":[{"OrderNumber":5012,"OurRef":"WEB-1"}]}`, 1, 0},
		"NoRef":         {`{"value":[{"OrderNumber":5012},{"OrderNumber":5013,"OurRef":null},{"OrderNumber":5014,"OurRef":{"a":1}}]}`, 0, 0},
		"Nothing":       {``, 0, erp.Malformed},
		"Object":        {`{}`, 0, erp.Malformed},
		"NoValue":       {`{"@odata.context":"x"}`, 0, erp.Malformed},
		"ValueIsObject": {`{"value":{}}`, 0, erp.Malformed},
		"ValueIsNull":   {`{"value":null}`, 0, erp.Malformed},
		"Error":         {`{"error":{"code":"x","message":"WEB-1"}}`, 0, erp.Malformed},
		"Text":          {`"ok"`, 0, erp.Malformed},
		"Rows":          {`{"value":[1,2]}`, 0, erp.Malformed},
		"Truncated":     {`{"value":[{"OrderNumber":5012,"OurRef":"WEB-1"}`, 0, erp.Malformed},
		"TwoDocuments":  {`{"value":[]}{"value":[]}`, 0, erp.Malformed},
		"XML":           {`<?xml version="1.0"?><feed/>`, 0, erp.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "Invoice") {
					_, _ = w.Write([]byte(`{"value":[]}`))
					return
				}
				_, _ = w.Write([]byte(c.body))
			}))
			t.Cleanup(server.Close)
			connector, err := settings(t, systems["Uniconta"], server.URL).Make(erp.Common{})
			require.NoError(t, err)
			docs, err := lookup(t, connector, "WEB-1")
			require.Equal(t, c.kind, erp.KindOf(err), "%v", err)
			if c.kind == 0 {
				require.NoError(t, err)
			}
			named := 0
			for _, d := range docs {
				if d.Ref == "WEB-1" && d.Number == "5012" {
					named++
				}
			}
			require.Equal(t, c.docs, named)
		})
	}
}

// An ERP that does not answer ends the lookup with an error in the time that is configured.
func TestSlowERP(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	common := erp.Common{}
	common.HTTP.Timeout = 50 * time.Millisecond
	connector, err := settings(t, systems["Uniconta"], server.URL).Make(common)
	require.NoError(t, err)
	_, err = lookup(t, connector, "WEB-1")
	require.Equal(t, erp.Unreachable, erp.KindOf(err), "%v", err)
	require.ErrorContains(t, err, "timeout")
}

// An address inside is refused unless the configuration allows it.
func TestPrivateAddress(t *testing.T) {
	t.Parallel()
	options := odata.UnicontaOptions{Common: odata.Common{
		BaseURL: "http://127.0.0.1:9", Batch: 1, Orders: odata.Fields{Collection: "a", Ref: "r", Number: "n"}, Invoices: odata.Fields{Collection: "b", Ref: "r", Number: "n"},
	}, Company: "1", TimeZone: "UTC"}
	connector, err := options.Make(erp.Common{})
	require.NoError(t, err)
	_, err = lookup(t, connector, "WEB-1")
	require.Equal(t, erp.Misconfigured, erp.KindOf(err))
	require.ErrorContains(t, err, "allow_private")
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	const before = "database: {url: \"${DATABASE_URL}\"}\nshop: {orders: {table: public.orders, ref: number, placed_at: placed}}\nretention: {erase_after_import: 30d}\nerp:\n  one: "
	for name, c := range map[string]struct {
		kind config.Kind
		yaml string
		says string
	}{
		"NoCompany":      {odata.Uniconta, `{kind: uniconta, user: a, password: "${SECRET}"}`, "erp.one.company: is missing"},
		"LiteralSecret":  {odata.Uniconta, `{kind: uniconta, company: "1", user: a, password: hunter2}`, "erp.one.password: " + configtest.NotInFile},
		"PlainHTTP":      {odata.NAV, `{kind: nav, base_url: "http://nav.example.com/ODataV4", company: A, user: a, access_key: "${SECRET}", orders: {collection: A}, invoices: {collection: B}}`, "erp.one.base_url: must be https"},
		"Private":        {odata.NAV, `{kind: nav, base_url: "https://10.0.0.1/ODataV4", company: A, user: a, access_key: "${SECRET}", orders: {collection: A}, invoices: {collection: B}}`, "needs allow_private"},
		"NoCollection":   {odata.NAV, `{kind: nav, base_url: "https://nav.example.com/ODataV4", company: A, user: a, access_key: "${SECRET}", orders: {}, invoices: {collection: B}}`, "erp.one.orders.collection: is missing"},
		"Injection":      {odata.NAV, `{kind: nav, base_url: "https://nav.example.com/ODataV4", company: A, user: a, access_key: "${SECRET}", orders: {collection: "A?$top=1"}, invoices: {collection: B}}`, "is not a field name"},
		"NoTenant":       {odata.BusinessCentral, `{kind: business_central, company: ` + companyID + `, company_name: A, client_id: a, client_secret: "${SECRET}"}`, "erp.one.tenant: is missing"},
		"NoGUID":         {odata.BusinessCentral, `{kind: business_central, tenant: a, company: CRONUS, company_name: A, client_id: a, client_secret: "${SECRET}"}`, "erp.one.company: is not an id"},
		"TwoCredentials": {odata.BusinessCentral, `{kind: business_central, tenant: a, company: ` + companyID + `, company_name: A, client_id: a, client_secret: "${SECRET}", user: a, access_key: "${SECRET}"}`, "exclude each other"},
		"UnknownKey":     {odata.Uniconta, `{kind: uniconta, company: "1", user: a, password: "${SECRET}", ordrs: {}}`, `did you mean "orders"`},
		"ProbeDocument":  {odata.Uniconta, `{kind: uniconta, company: "1", user: a, password: "${SECRET}", probe_document: "1 or 1 eq 1"}`, "is not a number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := configtest.Mistakes(t, c.kind, before+c.yaml+"\n", configtest.Environment{"SECRET": "s3cret"})
			require.Len(t, lines, 1)
			require.Contains(t, lines[0], c.says)
		})
	}
}

func TestDefaultsOfBusinessCentral(t *testing.T) {
	t.Parallel()
	e := configured(t, odata.BusinessCentral, `{kind: business_central, tenant: contoso.com, company: `+companyID+`, company_name: A, client_id: a, client_secret: "${SECRET}"}`, "")
	o, ok := e.Settings.(odata.BusinessCentralOptions)
	require.True(t, ok)
	require.Equal(t, "https://api.businesscentral.dynamics.com/v2.0/contoso.com/production/api/v2.0", o.BaseURL)
	require.Equal(t, "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token", o.TokenURL)
	require.Equal(t, "WEB-", e.RefPrefix)
	require.Equal(t, 35, e.RefMaxLength)
	require.Equal(t, 15*time.Minute, e.Overlap)
}
