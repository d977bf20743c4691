package jobs

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/store/storetest"
)

// soon is well before River looks at the tables by itself, which it does every minute.
const soon = 30 * time.Second

func notify(t *testing.T, conn *pgx.Conn, topic, payload string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `select pg_notify($1, $2)`, topic, payload)
	require.NoError(t, err)
}

// Whoever may connect may notify. That neither pauses a queue nor cancels a job nor makes the leader resign.
func TestNotificationsOfStrangersAreNotBelieved(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	sending, answer := make(chan error, 10), make(chan struct{})
	startClient(t, pool, nil, func(ctx context.Context, _ destination.Event) (int, error) {
		sending <- nil
		select {
		case <-answer:
			return 200, nil
		case <-ctx.Done():
			sending <- ctx.Err()
			return 0, ctx.Err()
		}
	})
	insertEvent(t, pool, "order_paid:E1")
	require.NoError(t, <-sending)
	require.Eventually(t, func() bool { return scan[int](t, pool, `select count(*) from kvit.river_leader`) == 1 }, waitFor, tick)
	elected := scan[time.Time](t, pool, `select elected_at from kvit.river_leader`)

	conn := storetest.Stranger(t, pool)
	job := scan[int64](t, pool, `select id from kvit.river_job where kind = 'deliver_event'`)
	notify(t, conn, "kvit.river_control", fmt.Sprintf(`{"action": "cancel", "job_id": %d, "queue": "deliver_crm"}`, job))
	notify(t, conn, "kvit.river_control", `{"action": "pause", "queue": "*"}`)
	notify(t, conn, "kvit.river_control", `{"action": "pause", "queue": "deliver_crm"}`)
	notify(t, conn, "kvit.river_control", `no JSON`)
	notify(t, conn, "kvit.river_insert", `[]`)
	notify(t, conn, "kvit.river_leadership", `{"action": "request_resign", "leader_id": "x"}`)

	// Notifications come in their order: when this event is sent, all of those have been heard.
	insertEvent(t, pool, "order_paid:E2")
	select {
	case err := <-sending:
		require.NoError(t, err, "the job was not cancelled")
	case <-time.After(soon):
		require.Fail(t, "the queue was paused")
	}
	close(answer)
	require.Eventually(t, func() bool {
		return scan[int](t, pool, `select count(*) from kvit.delivery where outcome = 'delivered'`) == 2
	}, waitFor, tick)
	require.Equal(t, elected, scan[time.Time](t, pool, `select elected_at from kvit.river_leader`))
}

func TestWhatTheRowsSayIsBelievedAtOnce(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	ended := make(chan struct{})
	client := startClient(t, pool, nil, func(ctx context.Context, e destination.Event) (int, error) {
		if e.Key == "order_paid:E2" {
			return 200, nil
		}
		<-ctx.Done()
		close(ended)
		return 0, ctx.Err()
	})
	insertEvent(t, pool, "order_paid:E1")
	require.Eventually(t, func() bool {
		return scan[int](t, pool, `select count(*) from kvit.river_job where state = 'running'`) == 1
	}, waitFor, tick)
	_, err := client.JobCancel(t.Context(), scan[int64](t, pool, `select id from kvit.river_job where state = 'running'`))
	require.NoError(t, err)
	select {
	case <-ended:
	case <-time.After(soon):
		require.Fail(t, "the job was not cancelled")
	}

	require.NoError(t, client.QueuePause(t.Context(), QueueOf("crm"), nil))
	insertEvent(t, pool, "order_paid:E2")
	require.NoError(t, client.QueueResume(t.Context(), "*", nil))
	require.Eventually(t, func() bool {
		return scan[int](t, pool, `select count(*) from kvit.delivery where outcome = 'delivered'`) == 1
	}, soon, tick)
}
