package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// told is a transaction with one event of the order E1 and one that only names the person, each for the
// given destination alone.
func told(t *testing.T, destination string) pgx.Tx {
	t.Helper()
	tx := storetest.Tx(t)
	sendable(t, tx, destination)
	mustExec(t, tx, `
		insert into kvit.tracking_event (event_key, name, order_ref, payload) values
		    ('order', 'order_paid', 'E1', '{"client": {"ga_client_id": "1.2"}}'),
		    ('visit', 'page_viewed', null, '{"customer": {"email": "Jane@example.com"}, "client": {"ga_client_id": "3.4"}}'),
		    ('visit2', 'page_viewed', null, '{"customer": {"email": "jane@example.com"}, "client": {"ga_client_id": "1.2"}}'),
		    ('visit3', 'page_viewed', null, '{"customer": {"email": "jane@example.com"}, "client": {"ga_client_id": ""}}'),
		    ('other', 'page_viewed', null, '{"customer": {"email": "other@example.com"}, "client": {"ga_client_id": "5.6"}}')`)
	return tx
}

func request() store.TaskRequest {
	return store.TaskRequest{Reference: "T-1", By: "anna", Subject: store.Subject{Email: "jane@example.com"}, OrderRefs: []string{"E1"}, ClientIDs: 2}
}

// settle ends the delivery of an event in this way.
func settle(t *testing.T, tx pgx.Tx, key, columns, values string) {
	t.Helper()
	mustExec(t, tx, `
		insert into kvit.delivery (event_id, destination, finished_at, `+columns+`)
		select id, 'crm', now() - interval '1 hour', `+values+` from kvit.event where event_key = '`+key+`'`)
	mustExec(t, tx, `
		delete from kvit.river_job j using kvit.event e where kvit.job_event_id(j.args) = e.id and e.event_key = '`+key+`'`)
}

func TestWhoMayHaveThePersonsData(t *testing.T) {
	t.Parallel()
	const job = `update kvit.river_job j set `
	const ofOrder = ` from kvit.event e where kvit.job_event_id(j.args) = e.id and e.event_key = 'order'`
	failure := func(text string) string {
		return job + `attempt = 1, errors = array[jsonb_build_object('at', now(), 'error', '` + text + `')]` + ofOrder
	}
	for name, c := range map[string]struct {
		columns, values string // of the receipt; empty: none
		sql             string
		want            bool
	}{
		"NothingYet":       {want: false},
		"Delivered":        {columns: "outcome, attempts", values: "'delivered', 1", want: true},
		"Unclear":          {columns: "outcome, attempts, unclear", values: "'failed', 3, true", want: true},
		"Rejected":         {columns: "outcome, attempts", values: "'rejected', 1", want: false},
		"Withheld":         {columns: "outcome, attempts", values: "'withheld', 1", want: false},
		"ErasedUntried":    {columns: "outcome, attempts", values: "'erased', 0", want: false},
		"ErasedTried":      {columns: "outcome, attempts", values: "'erased', 1", want: true},
		"NotTaken":         {sql: failure("the provider is down; not taken"), want: false},
		"MayHaveArrived":   {sql: failure("no answer; may have arrived"), want: true},
		"CrashedMeanwhile": {sql: failure("Stuck job rescued by JobRescuer"), want: true},
		"UnderWay":         {sql: job + `state = 'running', attempted_at = now(), attempt = 1` + ofOrder, want: true},
		"Begun":            {sql: `insert into kvit.delivery_attempt (event_id, destination) select id, 'crm' from kvit.event where event_key = 'order'`, want: true},
		"SentAgain": {sql: `
			with a as (insert into kvit.delivery_action (action, destination, operator, selection, events) values ('replay', 'crm', 'x', '{}', 1) returning id)
			insert into kvit.replayed_delivery (action_id, event_id, outcome, attempts, finished_at, unclear)
			select a.id, e.id, 'delivered', 1, now(), false from a, kvit.event e where e.event_key = 'order'`, want: true},
		"SomebodyElses": {sql: `
			insert into kvit.delivery (event_id, destination, outcome, attempts)
			select id, 'crm', 'delivered', 1 from kvit.event where event_key = 'other'`, want: false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := told(t, "crm")
			if c.columns != "" {
				settle(t, tx, "order", c.columns, c.values)
			}
			if c.sql != "" {
				mustExec(t, tx, c.sql)
			}
			require.NoError(t, store.MakeTasks(t.Context(), tx, request()))
			tasks, err := store.OpenTasks(t.Context(), tx, "T-1")
			require.NoError(t, err)
			if !c.want {
				require.Empty(t, tasks)
				return
			}
			require.Len(t, tasks, 1)
			require.Equal(t, "crm", tasks[0].Destination)
			require.Equal(t, []string{"E1"}, tasks[0].OrderRefs)
			require.Equal(t, 2, tasks[0].ClientIDs)
			require.Equal(t, "anna", tasks[0].CreatedBy)
		})
	}
}

// A request that is made again asks only about what came since, and goes on with open tasks.
func TestTasksOfARequestMadeAgain(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	again := func(r store.TaskRequest) []store.Task {
		require.NoError(t, store.MakeTasks(t.Context(), db, r))
		tasks, err := store.Tasks(t.Context(), db, true)
		require.NoError(t, err)
		return tasks
	}
	mustExec(t, db, `
		insert into kvit.tracking_event (event_key, name, order_ref) values ('a', 'order_paid', 'E1'), ('b', 'order_paid', 'E2'), ('c', 'order_paid', 'E3');
		insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'delivered', 1 from kvit.event where order_ref = 'E1'`)
	r := request()
	r.OrderRefs = []string{"E1", "E2", "E3"}
	require.Len(t, again(r), 1)
	require.Len(t, again(r), 1, "the same")

	mustExec(t, db, `insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'delivered', 1 from kvit.event where order_ref = 'E2'`)
	r.ClientIDs = 1
	tasks := again(r)
	require.Len(t, tasks, 1, "the open one takes it")
	require.Equal(t, []string{"E1", "E2"}, tasks[0].OrderRefs)
	require.Equal(t, 2, tasks[0].ClientIDs, "as many as were known at first")

	require.NoError(t, store.CloseTask(t.Context(), db, store.Closing{ID: tasks[0].ID, By: "anna"}))
	require.Len(t, again(r), 1, "what was told is told")
	mustExec(t, db, `insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'delivered', 1 from kvit.event where order_ref = 'E3'`)
	tasks = again(r)
	require.Len(t, tasks, 2, "what came after that is not")
	require.Equal(t, []string{"E3"}, tasks[1].OrderRefs)

	r.Reference = "T-2"
	require.Len(t, again(r), 3, "another request asks for all of it")
}

func TestTasksAreClosedOnce(t *testing.T) {
	t.Parallel()
	tx := told(t, "crm")
	settle(t, tx, "order", "outcome, attempts", "'delivered', 1")
	require.NoError(t, store.MakeTasks(t.Context(), tx, request()))
	open, oldest, err := store.TaskBacklog(t.Context(), tx)
	require.NoError(t, err)
	require.EqualValues(t, 1, open)
	require.NotNil(t, oldest)
	tasks, err := store.Tasks(t.Context(), tx, false)
	require.NoError(t, err)
	id := tasks[0].ID
	require.NoError(t, store.NoteProblem(t.Context(), tx, id, "no answer", true))
	tasks, err = store.Tasks(t.Context(), tx, false)
	require.NoError(t, err)
	require.Equal(t, 1, tasks[0].Attempts)
	require.Equal(t, "no answer", *tasks[0].Problem)

	require.ErrorIs(t, store.CloseTask(t.Context(), tx, store.Closing{ID: id + 1, By: "anna"}), store.ErrNotFound)
	require.NoError(t, store.CloseTask(t.Context(), tx, store.Closing{ID: id, By: "kvit", Note: "told", Told: true}))
	require.ErrorIs(t, store.CloseTask(t.Context(), tx, store.Closing{ID: id, By: "anna"}), store.ErrClosed)
	require.NoError(t, store.NoteProblem(t.Context(), tx, id, "late", true), "of a process that was slower")
	tasks, err = store.Tasks(t.Context(), tx, false)
	require.NoError(t, err)
	require.Empty(t, tasks)
	tasks, err = store.Tasks(t.Context(), tx, true)
	require.NoError(t, err)
	require.Equal(t, "kvit", *tasks[0].ClosedBy)
	require.Equal(t, "told", *tasks[0].Note)
	require.Equal(t, 2, tasks[0].Attempts)
	require.Nil(t, tasks[0].Problem)
	open, oldest, err = store.TaskBacklog(t.Context(), tx)
	require.NoError(t, err)
	require.Zero(t, open)
	require.Nil(t, oldest)
}

func TestClientsOfAPerson(t *testing.T) {
	t.Parallel()
	tx := told(t, "crm")
	clients, err := store.SubjectClients(t.Context(), tx, store.Subject{Email: "JANE@example.com"}, []string{"E1"})
	require.NoError(t, err)
	require.Equal(t, []string{"1.2", "3.4"}, clients)
	clients, err = store.SubjectClients(t.Context(), tx, store.Subject{CustomerID: "9"}, nil)
	require.NoError(t, err)
	require.Empty(t, clients)
}
