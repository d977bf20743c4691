package odata_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp"
	"kvit/erp/odata/odatatest"
)

// Lines and totals are asked for only where they are compared, and comments are no lines.
func TestLinesAndTotal(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		t.Run(fmt.Sprint(asked), func(t *testing.T) {
			t.Parallel()
			s := systems["BusinessCentral"]
			server := odatatest.New(s.dialect, s.orders, s.invoices)
			row := s.row(erp.Document{Ref: "WEB-1", Number: "SO-1"}, time.Now())
			row["totalAmountIncludingTax"] = 250.5
			row["salesOrderLines"] = []odatatest.Row{{"lineType": "Item"}, {"lineType": "Comment"}, {"lineType": "Account"}}
			server.Put("salesOrders", row)
			connector, err := settings(t, s, serve(t, server)).Make(erp.Common{Name: "bc", Lines: asked, Total: asked})
			require.NoError(t, err)
			require.True(t, connector.Traits().Lines && connector.Traits().Total)
			var got []erp.Document
			require.NoError(t, connector.(erp.Finder).Lookup(t.Context(), []string{"WEB-1"}, func(docs []erp.Document) error {
				got = append(got, docs...)
				return nil
			}))
			require.Len(t, got, 1)
			if !asked {
				require.Zero(t, got[0].Lines)
				require.Empty(t, got[0].Total)
				return
			}
			require.Equal(t, 2, got[0].Lines)
			require.Equal(t, "250.5", got[0].Total)
		})
	}
}
