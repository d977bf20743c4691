package storetest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// Stranger is a session of a role that may connect, and nothing else.
func Stranger(t testing.TB, pool *pgxpool.Pool) *pgx.Conn {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		do $$ begin create role stranger nologin; exception when duplicate_object or unique_violation then null; end $$`)
	require.NoError(t, err)
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig.Copy())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	_, err = conn.Exec(t.Context(), `set session authorization stranger`)
	require.NoError(t, err)
	return conn
}
