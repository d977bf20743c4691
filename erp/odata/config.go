package odata

import (
	"net/http"
	"net/url"
	"time"

	"kvit/config"
	"kvit/destination"
	"kvit/erp"
)

// Fields are how a collection's fields are called, and the collection itself.
type Fields struct {
	Collection  string
	Ref         string
	Number      string
	OrderNumber string
	Changed     string
	Type        string
	Total       string // with tax
	Lines       string // how many there are; of Business Central: the lines themselves
}

var fieldName = config.Matches(`[A-Za-z_][A-Za-z0-9_]{0,127}`, "is not a field name (letters, digits and _ only)")

// readFields reads a collection's own section. The collection is required if it has no default.
func readFields(s *config.Section, name string, usual Fields) Fields {
	f := s.Section(name)
	defer f.Finish()
	if usual.Collection == "" {
		f.Require("collection")
	}
	usual.Collection = f.Text("collection", usual.Collection, fieldName)
	usual.Ref = f.Text("ref", usual.Ref, fieldName)
	usual.Number = f.Text("number", usual.Number, fieldName)
	if name == "invoices" {
		usual.OrderNumber = f.TextOrNone("order_number", usual.OrderNumber, fieldName)
	}
	usual.Changed = f.TextOrNone("changed", usual.Changed, fieldName)
	usual.Type = f.TextOrNone("type", usual.Type, fieldName)
	usual.Total = f.TextOrNone("total", usual.Total, fieldName)
	usual.Lines = f.TextOrNone("lines", usual.Lines, fieldName)
	return usual
}

// collection is the place that the fields describe.
func (f Fields) collection(kind string) collection {
	return collection{Name: f.Collection, Kind: kind, Ref: f.Ref, Number: f.Number, OrderNumber: f.OrderNumber, Changed: f.Changed, Type: f.Type, Total: f.Total, Lines: f.Lines}
}

// Common are the keys that all three kinds share.
type Common struct {
	BaseURL       string
	AllowPrivate  bool
	Orders        Fields
	Invoices      Fields
	Batch         int
	PageSize      int
	ProbeDocument string
}

// readCommon reads them; base is the usual address, empty: one has to be given.
func readCommon(s *config.Section, base string, orders, invoices Fields) Common {
	c := Common{AllowPrivate: s.Boolean("allow_private", false)}
	plain := func(string) bool { return c.AllowPrivate }
	checks := []config.Check{config.HTTPURL(plain, "http only with allow_private: true"), func(text string) string {
		if u, err := url.Parse(text); err != nil || c.AllowPrivate || !destination.RefusesHost(u.Hostname()) {
			return ""
		}
		return "leads to a private or local address, which needs allow_private: true"
	}}
	if base == "" {
		s.Require("base_url")
	}
	c.BaseURL = trimSlash(s.Text("base_url", base, checks...))
	c.Orders, c.Invoices = readFields(s, "orders", orders), readFields(s, "invoices", invoices)
	c.Batch = s.Integer("batch", 40, 1, 200)
	c.ProbeDocument = s.Text("probe_document", "", config.OneLine)
	return c
}

// readPageSize reads what is asked for; the ERP may give less or more.
func readPageSize(s *config.Section) int { return s.Integer("page_size", 500, 1, 20_000) }

func trimSlash(text string) string {
	for len(text) > 0 && text[len(text)-1] == '/' {
		text = text[:len(text)-1]
	}
	return text
}

// describe is the part of the description that all three have in common.
func (c Common) describe(root string) description {
	return description{
		Root: root, Batch: c.Batch, PageSize: c.PageSize, ProbeDocument: c.ProbeDocument, Select: true,
		Collections: []collection{c.Orders.collection(erp.OrderDocument), c.Invoices.collection(erp.InvoiceDocument)},
	}
}

func (c Common) client(common erp.Common, auth erp.Authorizer) *erp.Client {
	return erp.NewClient(common, erp.ClientOptions{AllowPrivate: c.AllowPrivate, Auth: auth})
}

// BusinessCentral is one company in Microsoft Dynamics 365 Business Central, online or on premises, by its API v2.0.
var BusinessCentral = config.Kind{
	Name: "business_central", Read: erp.Reader(readBusinessCentral),
	ERP: &config.ERPDefaults{Poll: 5 * time.Minute, Overlap: 15 * time.Minute, RefMaxLength: 35},
}

// BusinessCentralOptions are the keys of business_central.
type BusinessCentralOptions struct {
	Common
	Company      string // id
	CompanyName  string
	TokenURL     string
	Scope        string
	ClientID     string
	ClientSecret config.Secret
	User         string
	AccessKey    config.Secret

	API           string // such as v2.0
	Notifications Notifications
}

const (
	businessCentralOnline = "https://api.businesscentral.dynamics.com/v2.0"
	microsoftLogin        = "https://login.microsoftonline.com"
)

var (
	guid        = config.Matches(`[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}`, "is not an id such as 7dbba574-5f69-4167-a43e-fb975045de15")
	pathSegment = config.Matches(`[A-Za-z0-9_.-]{1,100}`, "has other characters than letters, digits and _.-")
	apiPath     = config.Matches(`[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*`, "is not a path such as v2.0 or publisher/group/v1.0")
)

func readBusinessCentral(s *config.Section) BusinessCentralOptions {
	usual := Fields{Collection: "salesOrders", Ref: "externalDocumentNumber", Number: "number", Changed: "lastModifiedDateTime", Total: "totalAmountIncludingTax", Lines: "salesOrderLines"}
	invoices := usual
	invoices.Lines = "salesInvoiceLines"
	invoices.Collection, invoices.OrderNumber, invoices.Type = "salesInvoices", "orderNumber", "status"
	online := !s.Has("base_url")
	o := BusinessCentralOptions{Common: readCommon(s, businessCentralOnline, usual, invoices)}
	o.PageSize = readPageSize(s)
	tenant, environment := s.Text("tenant", "", pathSegment), s.Text("environment", "production", pathSegment)
	if online {
		s.Require("tenant")
		o.BaseURL += "/" + tenant + "/" + environment
	}
	o.API = s.Text("api", "v2.0", apiPath)
	o.BaseURL += "/api/" + o.API
	o.Notifications = readNotifications(s)
	o.Company = s.RequiredText("company", guid)
	o.CompanyName = s.RequiredText("company_name", config.OneLine)
	o.readCredentials(s, tenant)
	return o
}

// readCredentials reads those of the OAuth2 grant, or of an installation of the shop's own, user and access key.
func (o *BusinessCentralOptions) readCredentials(s *config.Section, tenant string) {
	plain := func(string) bool { return o.AllowPrivate }
	o.Scope = s.Text("scope", "https://api.businesscentral.dynamics.com/.default", config.OneLine)
	o.TokenURL = s.Text("token_url", microsoftLogin+"/"+tenant+"/oauth2/v2.0/token", config.HTTPURL(plain, "http only with allow_private: true"))
	if s.Has("user") || s.Has("access_key") {
		o.User, o.AccessKey = s.RequiredText("user", config.OneLine), s.RequiredSecret("access_key", config.VisibleASCII)
		if s.Has("client_id") || s.Has("client_secret") {
			s.Problem("user", "and client_id exclude each other")
			s.Text("client_id", "")
			s.Secret("client_secret")
		}
		return
	}
	o.ClientID, o.ClientSecret = s.RequiredText("client_id", config.OneLine), s.RequiredSecret("client_secret")
	if !s.Has("token_url") && s.Has("base_url") {
		s.Require("tenant")
	}
}

// Make makes the connector.
func (o BusinessCentralOptions) Make(common erp.Common) (erp.Connector, error) {
	d := o.describe(o.BaseURL + "/companies(" + o.Company + ")")
	d.CompanyURL, d.CompanyField, d.CompanyName = d.Root, "name", o.CompanyName
	d.Header = http.Header{"Data-Access-Intent": {"ReadOnly"}}
	d.Collections[0].Expanded, d.Collections[1].Expanded = true, true
	var auth erp.Authorizer = erp.Basic{User: o.User, Password: o.AccessKey}
	if o.User == "" {
		auth = &erp.ClientCredentials{TokenURL: o.TokenURL, ID: o.ClientID, Secret: o.ClientSecret, Extra: url.Values{"scope": {o.Scope}}}
	}
	c := newConnector(o.client(common, auth), d, common)
	follower, follows := c.(*connector)
	if o.Notifications.URL == "" || !follows {
		return c, nil
	}
	return &subscriber{
		connector: follower, notifications: o.Notifications, address: o.BaseURL + "/subscriptions",
		resource: "/api/" + o.API + "/companies(" + o.Company + ")",
	}, nil
}

// NAV is one company in Microsoft Dynamics NAV, by pages or queries that are published as OData.
var NAV = config.Kind{
	Name: "nav", Read: erp.Reader(readNAV),
	ERP: &config.ERPDefaults{Poll: 5 * time.Minute, Overlap: time.Hour, RefMaxLength: 35},
}

// NAVOptions are the keys of nav.
type NAVOptions struct {
	Common
	V3        bool
	Company   string // name
	User      string
	AccessKey config.Secret
}

func readNAV(s *config.Section) NAVOptions {
	usual := Fields{Ref: "External_Document_No", Number: "No", Type: "Document_Type"}
	invoices := usual
	invoices.OrderNumber, invoices.Type = "Order_No", ""
	o := NAVOptions{
		Common: readCommon(s, "", usual, invoices), V3: s.Choice("odata", "v4", "v3", "v4") == "v3",
		Company: s.RequiredText("company", config.OneLine),
		User:    s.RequiredText("user", config.OneLine), AccessKey: s.RequiredSecret("access_key", config.VisibleASCII),
	}
	o.PageSize = readPageSize(s)
	return o
}

// Make makes the connector.
func (o NAVOptions) Make(common erp.Common) (erp.Connector, error) {
	d := o.describe(o.BaseURL + "/Company(" + escape(literal(o.Company)) + ")")
	d.CompanyURL, d.CompanyField, d.CompanyName = o.BaseURL+"/Company", "Name", o.Company
	if d.V3 = o.V3; o.V3 {
		d.Query = "$format=json"
	}
	return newConnector(o.client(common, erp.Basic{User: o.User, Password: o.AccessKey}), d, common), nil
}

// Uniconta is one company in Uniconta.
var Uniconta = config.Kind{
	Name: "uniconta", Read: erp.Reader(readUniconta),
	ERP: &config.ERPDefaults{Poll: 5 * time.Minute, Overlap: 2 * time.Hour, CallsPerDay: 5000},
}

// UnicontaOptions are the keys of uniconta.
type UnicontaOptions struct {
	Common
	Company   string // id
	User      string
	Password  config.Secret
	TimeZone  string
	Selecting bool
}

func readUniconta(s *config.Section) UnicontaOptions {
	usual := Fields{Collection: "DebtorOrderClient", Ref: "OurRef", Number: "OrderNumber"}
	invoices := Fields{Collection: "DebtorInvoiceClient", Ref: "OurRef", Number: "InvoiceNumber", OrderNumber: "OrderNumber"}
	o := UnicontaOptions{
		Common:  readCommon(s, "https://odata.uniconta.com", usual, invoices),
		Company: s.RequiredText("company", config.Matches(`[0-9]{1,10}`, "is not the number of a company")),
		User:    s.RequiredText("user", config.OneLine), Password: s.RequiredSecret("password"),
		TimeZone: s.Text("time_zone", "Europe/Copenhagen", config.TimeZone), Selecting: s.Boolean("select", false),
	}
	if o.ProbeDocument != "" && config.Matches(`[0-9]+`, "no")(o.ProbeDocument) != "" {
		s.Problem("probe_document", "is not a number")
	}
	return o
}

// Make makes the connector.
func (o UnicontaOptions) Make(common erp.Common) (erp.Connector, error) {
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil {
		return nil, erp.Fail(erp.Misconfigured, "time_zone is not known")
	}
	d := o.describe(o.BaseURL + "/odata/" + o.Company)
	d.V3, d.Zone, d.Sparse, d.Integers, d.Select, d.PageSize = true, zone, true, true, o.Selecting, 0
	d.Collections[0].Offer, d.Collections[1].Amount = "Offer", "TotalAmount"
	return newConnector(o.client(common, erp.Basic{User: o.User, Password: o.Password}), d, common), nil
}
