package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// ShiftClock sets the clock of one database, by now() and clock_timestamp(), ahead of the machine's, or behind it with a
// negative duration. To kvit it looks as if its own clock were wrong the other way. Sessions that have asked for the time
// before may keep a plan with the old one.
func ShiftClock(t testing.TB, db interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, by time.Duration) {
	t.Helper()
	shift := fmt.Sprintf("+ interval ''%d milliseconds''", by.Milliseconds())
	_, err := db.Exec(bounded(t), `
		create or replace function pg_catalog.now() returns timestamptz language sql stable
		as 'select pg_catalog.transaction_timestamp() `+shift+`';
		create or replace function pg_catalog.clock_timestamp() returns timestamptz language sql volatile
		as 'select pg_catalog.timeofday()::timestamptz `+shift+`'`)
	require.NoError(t, err)
}
