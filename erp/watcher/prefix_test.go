package watcher_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erp"
)

// byPrefix is an ERP whose search finds whatever begins with the value.
type byPrefix struct{ finder }

func (b byPrefix) Traits() erp.Traits { return erp.Traits{Batch: 10} }

// An order with a short reference finds thousands that begin with it: it is found all the same, and holds up no other.
func TestShortReference(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.source.Connector = byPrefix{finder{s.Memory, s.Memory}}
	s.orders(t, "1", "2")
	for i := range 5_100 {
		s.Put(order("WEB-1"+strconv.Itoa(10_000+i), strconv.Itoa(i)))
	}
	s.Put(order("WEB-1", "SO-1"), order("WEB-2", "SO-2"))
	s.IgnoreFilters()
	require.Empty(t, s.poll(t).Warning)
	require.ElementsMatch(t, []string{"1 order SO-1", "2 order SO-2"}, s.evidence(t))
}
