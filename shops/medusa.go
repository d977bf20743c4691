package shops

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// Medusa is a running Medusa 2.
type Medusa struct {
	db      *pgxpool.Pool
	process *process
	serving serving
	staff   *rest
	region  string
	way     string   // the shipping option
	goods   []string // the ids of the variants
}

var _ Shop = (*Medusa)(nil)

// MigrateMedusa makes the shop's tables in an empty database, by its own migrations.
func MigrateMedusa(t testing.TB, db *pgxpool.Pool) {
	t.Helper()
	Enabled(t)
	launch(t, "medusa", *db.Config().ConnConfig, nil, "migrate").finish(t)
}

// StartMedusa makes a shop in an empty database and starts it.
func StartMedusa(t testing.TB, db *pgxpool.Pool) *Medusa {
	t.Helper()
	MigrateMedusa(t, db)
	m := &Medusa{db: db}
	m.start(t)
	return m
}

// Migrate stops the shop, runs its migrations once more, as each new version of it does, and starts it.
func (m *Medusa) Migrate(t testing.TB) {
	t.Helper()
	m.Stop()
	MigrateMedusa(t, m.db)
	m.start(t)
}

func (m *Medusa) start(t testing.TB) {
	t.Helper()
	m.process = launch(t, "medusa", *m.db.Config().ConnConfig, nil)
	m.serving = m.process.ready(t)
	m.staff = &rest{serving: m.serving}
	m.staff.token = m.staff.logIn(t, "user", "staff@shop.example", "for tests alone")
	visitor := rest{serving: m.serving}
	var regions struct{ Regions []struct{ ID string } }
	visitor.ask(t, http.MethodGet, "/store/regions", nil, &regions)
	require.Len(t, regions.Regions, 1)
	m.region = regions.Regions[0].ID
	var products struct {
		Products []struct{ Variants []struct{ ID string } }
	}
	visitor.ask(t, http.MethodGet, "/store/products?order=title", nil, &products)
	m.goods = nil
	for _, p := range products.Products {
		m.goods = append(m.goods, p.Variants[0].ID)
	}
	require.Len(t, m.goods, 2)
}

// Stop ends the shop.
func (m *Medusa) Stop() { m.process.stop() }

// OrderList is what the admin's page of all orders asks for.
func (m *Medusa) OrderList(t testing.TB) string {
	t.Helper()
	return m.staff.page(t, "/admin/orders?limit=1000&order=created_at&fields=id,status,created_at,email,display_id,custom_display_id,"+
		"payment_status,fulfillment_status,total,currency_code,*customer,*sales_channel,*shipping_address,*billing_address")
}

// OrderPage is what the admin's page of an order asks for, and the changes that it shows beside.
func (m *Medusa) OrderPage(t testing.TB, o Order) string {
	t.Helper()
	page := m.staff.page(t, "/admin/orders/"+o.ID+"?fields="+orderFields)
	return page + m.staff.page(t, "/admin/orders/"+o.ID+"/changes")
}

// orderFields is all that the admin's page of an order shows.
const orderFields = "id,display_id,status,version,email,metadata,currency_code,created_at,canceled_at,payment_status,fulfillment_status," +
	"total,tax_total,shipping_total,*items,*items.variant,*shipping_address,*billing_address,*customer,*shipping_methods," +
	"*payment_collections,*payment_collections.payments,*payment_collections.payments.captures,*payment_collections.payments.refunds," +
	"*fulfillments,*fulfillments.labels,*transactions,*summary"

// CustomerList is what the admin's page of all customers asks for.
func (m *Medusa) CustomerList(t testing.TB) string {
	t.Helper()
	return m.staff.page(t, "/admin/customers?limit=1000&order=created_at&fields=*addresses,*groups")
}

// Login reports whether a person can log in and sees who he or she is.
func (m *Medusa) Login(t testing.TB, p Person) bool {
	t.Helper()
	visitor := &rest{serving: m.serving}
	status, _ := visitor.try(t, http.MethodPost, "/auth/customer/emailpass", vars{"email": p.Email, "password": password})
	if status == http.StatusUnauthorized {
		return false
	}
	visitor.token = visitor.logIn(t, "customer", p.Email, password)
	var me struct{ Customer struct{ Email string } }
	visitor.ask(t, http.MethodGet, "/store/customers/me?fields=*addresses", nil, &me)
	visitor.ask(t, http.MethodGet, "/store/orders", nil, nil)
	return me.Customer.Email == p.Email
}

// rest is one visitor of Medusa's API, or its staff.
type rest struct {
	serving serving
	token   string
}

// try sends a request and returns what came, whatever it is.
func (r *rest) try(t testing.TB, method, path string, body any) (status int, text []byte) {
	t.Helper()
	answer, text := request{
		method: method,
		url:    r.serving.URL + path,
		header: map[string]string{"Authorization": bearer(r.token), "x-publishable-api-key": r.serving.Key},
		body:   body,
	}.send(t) //nolint:bodyclose // send has read and closed it
	return answer.StatusCode, text
}

// ask sends a request and reads the answer into `into`, which may be nil.
func (r *rest) ask(t testing.TB, method, path string, body, into any) {
	t.Helper()
	status, text := r.try(t, method, path, body)
	require.Less(t, status, http.StatusBadRequest, "%s %s: %s", method, path, text)
	if into != nil {
		require.NoError(t, json.Unmarshal(text, into), "%s", text)
	}
}

// page is an answer as it came.
func (r *rest) page(t testing.TB, path string) string {
	t.Helper()
	var text json.RawMessage
	r.ask(t, http.MethodGet, path, nil, &text)
	return string(text)
}

// logIn returns the token of a customer or a user.
func (r *rest) logIn(t testing.TB, actor, email, password string) string {
	t.Helper()
	var in struct{ Token string }
	r.ask(t, http.MethodPost, "/auth/"+actor+"/emailpass", vars{"email": email, "password": password}, &in)
	return in.Token
}
