package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination/ga4/ga4test"
	"kvit/store"
	"kvit/store/storetest"
)

// newTeller is one for the person of these tests, with a task for the one destination in the YAML.
func newTeller(t *testing.T, yaml string, values map[string]string, clientIDs int) (*teller, *pgxpool.Pool, []store.Task) {
	t.Helper()
	values["DATABASE_URL"], values["CRM_SECRET"] = "postgres://nobody@127.0.0.1:1/none", secret
	cfg, err := config.Parse("kvit.yaml", []byte("database: {url: \"${DATABASE_URL}\"}\ndestinations:\n"+yaml), func(name string) string { return values[name] })
	require.NoError(t, err)
	pool := storetest.DB(t)
	_, err = pool.Exec(t.Context(), `
		insert into kvit.destination (name, kind, enabled, event_names) values ('one', 'webhook', true, '{order_paid}');
		insert into kvit.tracking_event (event_key, name, order_ref) values ('order_paid:E1', 'order_paid', 'E1');
		update kvit.river_job set state = 'running', attempted_at = now(), attempt = 1`)
	require.NoError(t, err)
	subject := store.Subject{Email: personsEmail}
	require.NoError(t, store.MakeTasks(t.Context(), pool, store.TaskRequest{Reference: "T-1", By: "anna", Subject: subject, OrderRefs: []string{"E1"}, ClientIDs: clientIDs}))
	ids, err := store.SubjectEventIDs(t.Context(), pool, subject, []string{"E1"})
	require.NoError(t, err)
	tasks, err := store.OpenTasks(t.Context(), pool, "T-1")
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	return &teller{recipients: recipientsIn(cfg.Destinations, slog.New(slog.DiscardHandler)), db: pool, subject: subject, eventIDs: ids}, pool, tasks
}

const endJob = `update kvit.river_job set state = 'completed', finalized_at = now()`

// A provider that is told while an event is on its way would get the person's data once more.
func TestTellsAfterTheLastDelivery(t *testing.T) {
	t.Parallel()
	var pool *pgxpool.Pool
	running := make(chan int, 10)
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var n int
		if err := pool.QueryRow(context.WithoutCancel(t.Context()), `select count(*) from kvit.river_job where state = 'running'`).Scan(&n); err != nil {
			n = -1
		}
		running <- n
		w.WriteHeader(http.StatusNoContent)
	}))
	teller, db, tasks := newTeller(t, fmt.Sprintf("  one: {kind: webhook, url: %q, secret: \"${CRM_SECRET}\", deduplicates: true, allow_private: true}\n", url), map[string]string{}, 0)
	pool = db
	asked := make(chan struct{})
	teller.db = watchedDB{DB: pool, queries: new(atomic.Int64), asked: asked}
	done := make(chan []ToldTask, 1)
	go func() {
		told, err := teller.tell(t.Context(), tasks)
		if err != nil {
			t.Errorf("tell: %v", err)
		}
		done <- told
	}()
	select {
	case <-asked: // it has looked, and found the delivery
	case <-done:
		require.Fail(t, "told while a delivery was under way")
	}
	_, err := pool.Exec(t.Context(), endJob)
	require.NoError(t, err)
	told := <-done
	require.Len(t, told, 1)
	require.True(t, told[0].Told)
	require.Zero(t, <-running, "none was running when the provider was told")
	require.Empty(t, running, "it is told once")
}

// watchedDB closes asked when its second query begins, which is when the first is answered.
type watchedDB struct {
	store.DB
	queries *atomic.Int64
	asked   chan struct{}
}

func (w watchedDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if w.queries.Add(1) == 2 {
		close(w.asked)
	}
	return w.DB.QueryRow(ctx, sql, args...)
}

// Client ids that went with the events at an earlier attempt cannot be told any more: that is for somebody
// to look at, while providers that need none are told.
func TestTellsOfLostClientIDs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		had   int
		known []string
		told  bool
	}{
		"All":  {2, []string{"1.2", "3.4"}, true},
		"Some": {2, []string{"1.2"}, false},
		"None": {2, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ga4test.NewDeletions("123456", nil)
			url := serve(t, server)
			teller, pool, tasks := newTeller(t, `
  one:
    kind: ga4
    measurement_id: G-ABC1234567
    api_secret: ${CRM_SECRET}
    deletion: {property_id: "123456", credentials: "${ACCOUNT}", base_url: "`+url+`"}
`, map[string]string{"ACCOUNT": ga4test.Credentials(url)}, c.had)
			_, err := pool.Exec(t.Context(), endJob)
			require.NoError(t, err)
			teller.clientIDs = c.known
			told, err := teller.tell(t.Context(), tasks)
			require.NoError(t, err)
			require.Equal(t, c.told, told[0].Told)
			require.Len(t, server.Deleted(), len(c.known), "what is known is told")
			open, err := store.OpenTasks(t.Context(), pool, "T-1")
			require.NoError(t, err)
			if c.told {
				require.Empty(t, open)
				return
			}
			require.Contains(t, *open[0].Problem, "client")
			require.Equal(t, 1, open[0].Attempts)
		})
	}
}
