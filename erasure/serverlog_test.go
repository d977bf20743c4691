package erasure

import (
	"crypto/rand"
	"os"
	"path/filepath"
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
	r, err := s.Scan(t.Context(), ScanOptions{Orders: 3, Time: 20 * time.Second})
	require.NoError(t, err)
	require.Greater(t, r.Values, 3, "%+v", r)
	require.Contains(t, placesAndReasons(r.Unsearched), "public.busy")

	text, err := os.ReadFile(filepath.Join(filepath.Dir(value[string](s, `show data_directory`)), "server.log"))
	if os.Getenv("KVIT_TEST_DATABASE_URL") != "" && err != nil {
		t.Skip("the server is not this test's own, and its log is not to be seen")
	}
	require.NoError(t, err)
	log := string(text)
	require.Regexp(t, `canceling statement due to (lock|statement) timeout`, log)
	require.Contains(t, log, `from only "public"."busy" t`, "the statement is there")
	require.NotContains(t, log, secret)
}

func placesAndReasons(list []store.Unsearched) map[string]string {
	reasons := map[string]string{}
	for _, u := range list {
		reasons[u.Table] = u.Reason
	}
	return reasons
}
