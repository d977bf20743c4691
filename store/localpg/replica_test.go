package localpg_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store/localpg"
)

func TestReplica(t *testing.T) {
	t.Parallel()
	primary := start(t, localpg.Options{Settings: map[string]string{"fsync": "off", "max_connections": "300"}})
	tell(t, primary.URL("postgres"), `create table told (word text)`)
	replica, err := primary.Replica(timed(t), map[string]string{"application_name": "copy"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Stop(context.Background())) })
	data := dataDir(t, replica)
	pid := postmaster(t, data)

	require.Equal(t, "on", ask(t, replica.URL("postgres"), `show transaction_read_only`))
	require.Equal(t, "300", ask(t, replica.URL("postgres"), `show max_connections`))
	require.Equal(t, "copy", ask(t, replica.URL("postgres"), `show application_name`))
	tell(t, primary.URL("postgres"), `insert into told values ('streamed')`)
	require.Eventually(t, func() bool {
		return ask(t, replica.URL("postgres"), `select coalesce(max(word), '') from told`) == "streamed"
	}, time.Minute, 10*time.Millisecond)

	require.NoError(t, replica.Stop(timed(t)))
	require.False(t, alive(pid))
	require.NoDirExists(t, filepath.Dir(data))
	require.Equal(t, "streamed", ask(t, primary.URL("postgres"), `select word from told`), "the primary lives on")
}

func TestReplicaOfAStoppedServer(t *testing.T) {
	t.Parallel()
	s := start(t, localpg.Options{})
	require.NoError(t, s.StopOnly(timed(t)))
	_, err := s.Replica(timed(t), nil)
	require.ErrorContains(t, err, "start replica: copy primary: run pg_basebackup: exit status 1")
}
