package erp_test

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp"
)

// book is what a database keeps between rounds: the order's mark, and what was told by whom.
type book struct {
	order erp.Order
	at    time.Time
	first map[[2]string]string // source and kind -> the first number
	told  map[string]bool
	count map[string]int // receipts by status
}

func (b *book) judge(receipts []erp.Receipt) {
	for i, r := range receipts {
		receipts[i].FirstNumber = b.first[[2]string{r.Source, r.DocumentKind}]
		receipts[i].Explained = b.told[b.order.ERPNumber]
	}
	marks, verdicts := erp.Judge(receipts, map[string]erp.Order{"E1": b.order})
	for _, m := range marks {
		if !m.ImportedAt.IsZero() {
			b.at = m.ImportedAt
		}
		b.order.Imported, b.order.ERPNumber = true, cmp.Or(b.order.ERPNumber, m.ERPNumber)
	}
	for i, v := range verdicts {
		b.count[v.Status]++
		r := receipts[i]
		if key := [2]string{r.Source, r.DocumentKind}; r.ERPNumber != "" && (v.Status == erp.Marked || v.Status == erp.AlreadyMarked) {
			b.first[key] = cmp.Or(b.first[key], r.ERPNumber)
			b.told[r.ERPNumber] = true
		}
	}
}

// permutations calls do with each order of the numbers below n.
func permutations(n int, do func([]int)) {
	var place func(done, left []int)
	place = func(done, left []int) {
		if len(left) == 0 {
			do(done)
			return
		}
		for i := range left {
			rest := append(append([]int{}, left[:i]...), left[i+1:]...)
			place(append(append([]int{}, done...), left[i]), rest)
		}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	place(nil, all)
}

// Whatever comes first, and however many come together: the order gets the same mark, and as much contradicts.
func TestOrderOfArrivalDecidesNothing(t *testing.T) {
	t.Parallel()
	placed := noon.Add(-time.Hour)
	for name, c := range map[string]struct {
		receipts  []erp.Receipt
		number    string // of the mark; "?": the first one that came
		conflicts int
	}{
		"InvoiceAndOrder":    {[]erp.Receipt{{DocumentKind: "invoice", ERPNumber: "INV-1"}, {DocumentKind: "order", ERPNumber: "SO-1"}}, "SO-1", 0},
		"WithoutNumber":      {[]erp.Receipt{{DocumentKind: "order"}, {DocumentKind: "order", ERPNumber: "SO-1"}, {DocumentKind: "shipment"}}, "SO-1", 0},
		"NeverANumber":       {[]erp.Receipt{{DocumentKind: "order"}, {DocumentKind: "invoice", ERPNumber: "INV-1"}}, "", 0},
		"PartialDeliveries":  {[]erp.Receipt{{DocumentKind: "shipment", ERPNumber: "S-1"}, {DocumentKind: "shipment", ERPNumber: "S-2"}, {DocumentKind: "order", ERPNumber: "SO-1"}, {DocumentKind: "invoice", ERPNumber: "INV-1"}, {DocumentKind: "invoice", ERPNumber: "INV-2"}}, "SO-1", 0},
		"Quote":              {[]erp.Receipt{{DocumentKind: "quote", ERPNumber: "Q-1"}, {DocumentKind: "order", ERPNumber: "SO-1"}, {DocumentKind: "reminder", ERPNumber: "R-1"}}, "SO-1", 0},
		"SecondNumber":       {[]erp.Receipt{{DocumentKind: "order", ERPNumber: "SO-1"}, {DocumentKind: "order", ERPNumber: "SO-2"}, {DocumentKind: "order"}, {DocumentKind: "invoice", ERPNumber: "INV-1"}}, "?", 1},
		"TwoSourcesAgree":    {[]erp.Receipt{{DocumentKind: "order", ERPNumber: "SO-1", Source: "a"}, {DocumentKind: "order", ERPNumber: "SO-1", Source: "b"}, {DocumentKind: "invoice", ERPNumber: "SO-1", Source: "b"}}, "SO-1", 0},
		"TwoSourcesOfTheir":  {[]erp.Receipt{{DocumentKind: "order", ERPNumber: "SO-1", Source: "a"}, {DocumentKind: "order", ERPNumber: "4711", Source: "b"}, {DocumentKind: "order", Source: "b"}}, "?", 0},
		"OneOfTwoContradict": {[]erp.Receipt{{DocumentKind: "order", ERPNumber: "SO-1", Source: "a"}, {DocumentKind: "order", ERPNumber: "4711", Source: "b"}, {DocumentKind: "order", ERPNumber: "4712", Source: "b"}}, "?", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := len(c.receipts)
			permutations(n, func(order []int) {
				for together := 1; together <= n; together++ { // receipts of a round
					b := book{order: erp.Order{PlacedAt: &placed}, first: map[[2]string]string{}, told: map[string]bool{}, count: map[string]int{}}
					first, round := "", []erp.Receipt{}
					for i, at := range order {
						r := c.receipts[at]
						r.ID, r.OrderRef, r.SeenAt = int64(i), "E1", noon
						if r.DocumentKind == "order" {
							first = cmp.Or(first, r.ERPNumber)
						}
						if round = append(round, r); len(round) == together || i == n-1 {
							b.judge(round)
							round = nil
						}
					}
					where := fmt.Sprint(order, together)
					require.True(t, b.order.Imported, where)
					require.Equal(t, noon, b.at, where)
					require.Equal(t, c.conflicts, b.count[erp.Conflict], where)
					want := c.number
					if want == "?" {
						want = first
					}
					require.Equal(t, want, b.order.ERPNumber, where)
				}
			})
		})
	}
}
