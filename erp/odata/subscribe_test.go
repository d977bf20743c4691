package odata_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/erp"
	"kvit/erp/odata"
	"kvit/erp/odata/odatatest"
)

// Subscriptions are made for orders and invoices, renewed and not made twice, and made anew where they were lost.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	s := systems["BusinessCentral"]
	server := odatatest.New(s.dialect, s.orders, s.invoices)
	o, ok := settings(t, s, serve(t, server)).(odata.BusinessCentralOptions)
	require.True(t, ok)
	plain, err := o.Make(erp.Common{})
	require.NoError(t, err)
	_, ok = plain.(erp.Subscriber)
	require.False(t, ok, "it is off unless it is configured")

	o.Notifications.URL = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.URL.Query().Get("validationToken")))
	}))
	o.Notifications.State = config.NewSecret("a state that nobody else knows, of 40 ch")
	c, err := o.Make(erp.Common{})
	require.NoError(t, err)
	subscriber, ok := c.(erp.Subscriber)
	require.True(t, ok)
	for range 2 {
		until, err := subscriber.Subscribe(t.Context())
		require.NoError(t, err)
		require.WithinDuration(t, time.Now().Add(72*time.Hour), until, time.Minute)
		require.Equal(t, []string{"api/v2.0/companies(" + companyID + ")/salesInvoices", "api/v2.0/companies(" + companyID + ")/salesOrders"}, server.Subscriptions())
	}
	server.LoseSubscriptions()
	_, err = subscriber.Subscribe(t.Context())
	require.NoError(t, err)
	require.Len(t, server.Subscriptions(), 2)
}
