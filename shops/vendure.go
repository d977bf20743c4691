package shops

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// Vendure is a running Vendure 3.
type Vendure struct {
	db      *pgxpool.Pool
	process *process
	url     string
	admin   *graphql
}

var _ Shop = (*Vendure)(nil)

// StartVendure makes a shop in an empty database and starts it.
func StartVendure(t testing.TB, db *pgxpool.Pool) *Vendure {
	t.Helper()
	Enabled(t)
	launch(t, "vendure", *db.Config().ConnConfig, nil, "populate").finish(t)
	v := &Vendure{db: db}
	v.start(t, false)
	return v
}

// Restart stops the shop and starts it again. With synchronize, its ORM changes the schema to what it
// wants first.
func (v *Vendure) Restart(t testing.TB, synchronize bool) {
	t.Helper()
	v.Stop()
	v.start(t, synchronize)
}

func (v *Vendure) start(t testing.TB, synchronize bool) {
	t.Helper()
	v.process = launch(t, "vendure", *v.db.Config().ConnConfig, []string{"DB_SYNCHRONIZE=" + strconv.FormatBool(synchronize)})
	v.url = v.process.ready(t).URL
	v.admin = &graphql{url: v.url + "/admin-api"}
	v.admin.ask(t, `mutation { login(username: "superadmin", password: "for tests alone") {
		... on CurrentUser { id } ... on ErrorResult { errorCode message } } }`, nil, nil)
}

// Stop ends the shop.
func (v *Vendure) Stop() { v.process.stop() }

// OrderList is what the admin's page of all orders asks for.
func (v *Vendure) OrderList(t testing.TB) string {
	t.Helper()
	return string(v.admin.data(t, `query { orders(options: {take: 1000, sort: {id: ASC}}) { totalItems items {
		id code state active orderPlacedAt type currencyCode totalWithTax
		customer { id firstName lastName emailAddress user { id identifier verified } }
		shippingAddress { fullName streetLine1 city postalCode country countryCode phoneNumber }
		billingAddress { fullName streetLine1 city postalCode country countryCode phoneNumber }
		shippingLines { shippingMethod { name } } couponCodes
		payments { id state amount method } } } }`, nil))
}

// OrderPage is what the admin's page of an order asks for.
func (v *Vendure) OrderPage(t testing.TB, o Order) string {
	t.Helper()
	return string(v.admin.data(t, `query ($id: ID!) { order(id: $id) {
		id code state active orderPlacedAt currencyCode subTotalWithTax shippingWithTax totalWithTax
		customer { id title firstName lastName emailAddress phoneNumber user { id identifier }
			addresses { fullName streetLine1 city postalCode phoneNumber }
			history(options: {take: 100}) { items { type data } } }
		shippingAddress { fullName company streetLine1 streetLine2 city province postalCode country phoneNumber }
		billingAddress { fullName company streetLine1 streetLine2 city province postalCode country phoneNumber }
		lines { id quantity productVariant { sku name } unitPriceWithTax linePriceWithTax taxLines { description taxRate } }
		surcharges { description sku priceWithTax } discounts { description amountWithTax } promotions { name }
		shippingLines { priceWithTax shippingMethod { name } }
		payments { id state amount method transactionId errorMessage metadata
			refunds { id state total reason transactionId lines { quantity } } }
		fulfillments { id state method trackingCode lines { quantity } }
		modifications { id note priceChange isSettled surcharges { description } }
		history(options: {take: 100, sort: {createdAt: ASC}}) { items { id type isPublic data administrator { firstName } } }
	} }`, vars{"id": o.ID}))
}

// CustomerList is what the admin's page of all customers asks for.
func (v *Vendure) CustomerList(t testing.TB) string {
	t.Helper()
	return string(v.admin.data(t, `query { customers(options: {take: 1000, sort: {id: ASC}}) { totalItems items {
		id title firstName lastName emailAddress phoneNumber user { id identifier verified lastLogin }
		addresses { fullName streetLine1 city postalCode phoneNumber } groups { name }
		orders { totalItems } history(options: {take: 100}) { items { type data } } } } }`, nil))
}

// Login reports whether a person can log in and sees who he or she is.
func (v *Vendure) Login(t testing.TB, p Person) bool {
	t.Helper()
	visitor := &graphql{url: v.url + "/shop-api"}
	var answer struct{ Login struct{ Identifier string } }
	data := visitor.data(t, loginDocument, vars{"email": p.Email, "password": password})
	require.NoError(t, json.Unmarshal(data, &answer))
	if answer.Login.Identifier == "" {
		return false
	}
	var me struct {
		ActiveCustomer *struct{ EmailAddress string }
	}
	visitor.ask(t, `query { activeCustomer { emailAddress firstName lastName addresses { streetLine1 } orders { items { code state } } } }`, nil, &me)
	return me.ActiveCustomer != nil && me.ActiveCustomer.EmailAddress == p.Email
}

const loginDocument = `mutation ($email: String!, $password: String!) { login(username: $email, password: $password) {
	... on CurrentUser { id identifier } ... on ErrorResult { errorCode message } } }`
