package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestFieldsLeftOut(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	now := time.Now()
	_, err := tx.Exec(t.Context(), `
		insert into kvit.destination (name, kind, enabled, event_names) values ('crm', 'webhook', true, '{order_paid}'), ('ads', 'meta', true, '{order_paid}')`)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `
		insert into kvit.delivery (event_id, destination, outcome, reason, attempts, finished_at)
		values (1, 'crm', 'delivered', 'without customer.phone: no phone number; without order.items[2].quantity: no number', 1, $1),
		       (2, 'crm', 'delivered', 'without order.items[0].quantity: no number', 1, $1),
		       (3, 'ads', 'delivered', 'without customer.phone: no country', 1, $2),
		       (4, 'ads', 'delivered', 'without customer.phone: no phone number', 1, $1),
		       (5, 'ads', 'delivered', null, 1, $1),
		       (6, 'ads', 'rejected', 'order.total: is required; without order.total: no amount', 1, $1),
		       (7, 'ads', 'delivered', 'without client.ip: no IP address', 1, $3)`,
		now.Add(-time.Hour), now.Add(-time.Minute), now.AddDate(0, 0, -8))
	require.NoError(t, err)
	list, err := store.FieldsLeftOut(t.Context(), tx, now.AddDate(0, 0, -7))
	require.NoError(t, err)
	var got []store.FieldLeftOut
	for _, f := range list {
		f.Last = time.Time{}
		got = append(got, f)
	}
	require.Equal(t, []store.FieldLeftOut{
		{Destination: "ads", Field: "customer.phone", Why: "no country", Count: 2, Exact: true},
		{Destination: "crm", Field: "customer.phone", Why: "no phone number", Count: 1, Exact: true},
		{Destination: "crm", Field: "order.items.quantity", Why: "no number", Count: 2, Exact: true},
	}, got)
}

// TestFieldsLeftOutInEachOrder: a destination that leaves something out of everything hides no other, and what was
// not read is owned up to.
func TestFieldsLeftOutInEachOrder(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	_, err := tx.Exec(t.Context(), `
		insert into kvit.destination (name, kind, enabled, event_names) values ('crm', 'webhook', true, '{order_paid}'), ('ads', 'meta', true, '{order_paid}')`)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `
		insert into kvit.delivery (event_id, destination, outcome, reason, attempts, finished_at)
		select i, 'crm', 'delivered', 'without customer.phone: no phone number', 1, now() - i * interval '1 second'
		from generate_series(1, $1 + 1) i
		union all
		select 0, 'ads', 'delivered', 'without client.ip: no IP address', 1, now() - interval '2 days'`, store.OmissionsRead)
	require.NoError(t, err)
	list, err := store.FieldsLeftOut(t.Context(), tx, time.Now().AddDate(0, 0, -7))
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "client.ip", list[0].Field)
	require.True(t, list[0].Exact)
	require.EqualValues(t, store.OmissionsRead, list[1].Count)
	require.False(t, list[1].Exact)
}
