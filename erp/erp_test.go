package erp_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestJudge(t *testing.T) {
	t.Parallel()
	placed := noon.Add(-time.Hour)
	early, late := placed.Add(-time.Minute), noon.Add(time.Minute)
	good := noon.Add(-10 * time.Minute)
	open := erp.Order{PlacedAt: &placed}
	done := erp.Order{PlacedAt: &placed, Imported: true, ERPNumber: "SO-1"}
	for name, c := range map[string]struct {
		receipt erp.Receipt
		order   *erp.Order
		status  string
		at      time.Time // of the mark
	}{
		"BelievesTheERP":            {erp.Receipt{DocumentKind: "order", ERPNumber: "SO-1", ImportedAt: &good}, &open, erp.Marked, good},
		"NoTimeCountsSighting":      {erp.Receipt{DocumentKind: "order", ERPNumber: "SO-1"}, &open, erp.Marked, noon},
		"BeforePlacedIsNotBelieved": {erp.Receipt{DocumentKind: "order", ImportedAt: &early}, &open, erp.Marked, noon},
		"FutureIsNotBelieved":       {erp.Receipt{DocumentKind: "invoice", ImportedAt: &late}, &open, erp.Marked, noon},
		"UnknownOrder":              {erp.Receipt{DocumentKind: "order"}, nil, erp.UnknownOrder, time.Time{}},
		"SecondSameNumber":          {erp.Receipt{DocumentKind: "order", ERPNumber: "SO-1"}, &done, erp.AlreadyMarked, time.Time{}},
		"SecondOtherNumber":         {erp.Receipt{DocumentKind: "order", ERPNumber: "SO-2"}, &done, erp.Conflict, time.Time{}},
		"InvoiceHasItsOwnNumber":    {erp.Receipt{DocumentKind: "invoice", ERPNumber: "INV-2"}, &done, erp.AlreadyMarked, time.Time{}},
		"QuoteIsNoImport":           {erp.Receipt{DocumentKind: "quote", ERPNumber: "Q-1"}, &open, erp.Ignored, time.Time{}},
		"OtherDocument":             {erp.Receipt{DocumentKind: "reminder"}, &open, erp.Ignored, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.receipt.ID, c.receipt.OrderRef, c.receipt.SeenAt = 7, "E1", noon
			orders := map[string]erp.Order{}
			if c.order != nil {
				orders["E1"] = *c.order
			}
			marks, verdicts := erp.Judge([]erp.Receipt{c.receipt}, orders)
			require.Len(t, verdicts, 1)
			require.Equal(t, c.status, verdicts[0].Status)
			if c.status != erp.Marked {
				require.Empty(t, marks)
				return
			}
			require.Equal(t, []erp.Mark{{OrderRef: "E1", ImportedAt: c.at, ERPNumber: c.receipt.ERPNumber}}, marks)
		})
	}
}

// Whatever arrives in whatever order: at most one mark an order, only for orders that exist and
// have none, never with a time before the order or after the sighting.
func TestJudgeProperties(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	kinds := []string{"order", "invoice", "shipment", "quote", ""}
	refs := []string{"E1", "E2", "E3", "E4"}
	for range 2000 {
		orders := map[string]erp.Order{}
		for _, ref := range refs[:3] {
			placed := noon.Add(-time.Duration(random.IntN(100)) * time.Minute)
			orders[ref] = erp.Order{PlacedAt: &placed, Imported: random.IntN(3) == 0, ERPNumber: "SO-0"}
		}
		var receipts []erp.Receipt
		for id := range random.IntN(8) {
			at := noon.Add(time.Duration(random.IntN(300)-200) * time.Minute)
			receipts = append(receipts, erp.Receipt{
				ID: int64(id), OrderRef: refs[random.IntN(4)], ERPNumber: []string{"", "SO-1", "SO-2"}[random.IntN(3)],
				DocumentKind: kinds[random.IntN(len(kinds))], ImportedAt: &at, SeenAt: noon,
			})
		}
		marks, verdicts := erp.Judge(receipts, orders)
		require.Len(t, verdicts, len(receipts))
		seen := map[string]bool{}
		for _, m := range marks {
			order, exists := orders[m.OrderRef]
			require.True(t, exists && !order.Imported && !seen[m.OrderRef])
			require.False(t, m.ImportedAt.Before(*order.PlacedAt) || m.ImportedAt.After(noon))
			seen[m.OrderRef] = true
		}
	}
}
