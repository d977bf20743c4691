package erasure

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store"
)

// A search that fails stands in the server's log, but not what was searched for.
func TestValuesStayOutOfTheServersLog(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	secret := "theodora" + strings.ToLower(rand.Text())
	s.buy("E1", 40*day)
	s.exec(`update public.orders set email = $1 || '@a.example' where order_number = 'E1'`, secret)
	s.exec(`create table public.busy (line text)`)
	s.exec(`insert into public.busy select email from public.orders`)
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	defer rollBack(t.Context(), tx)
	_, err = tx.Exec(t.Context(), `lock table public.busy in access exclusive mode`)
	require.NoError(t, err)
	_, r := s.scan(3 * time.Second)
	require.Contains(t, placesAndReasons(r.Unsearched), "public.busy")
	require.Greater(t, r.Values, 3)

	log := value[string](s, `select pg_read_file(regexp_replace(current_setting('data_directory'), '/[^/]*$', '') || '/server.log')`)
	require.Regexp(t, `canceling statement due to (lock|statement) timeout`, log)
	require.Contains(t, log, "public\".\"busy", "the statement is there")
	require.NotContains(t, log, secret)
}

func placesAndReasons(list []store.Unsearched) map[string]string {
	reasons := map[string]string{}
	for _, u := range list {
		reasons[u.Table] = u.Reason
	}
	return reasons
}
