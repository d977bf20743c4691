package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// planner is a transaction that asks for the plan of each query before it runs it.
type planner struct {
	pgx.Tx
	t     *testing.T
	plans []string
}

func (p *planner) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	p.plan(ctx, sql, args)
	return p.Tx.Query(ctx, sql, args...)
}

func (p *planner) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	p.plan(ctx, sql, args)
	return p.Tx.QueryRow(ctx, sql, args...)
}

// Begin plans what runs within the inner transaction, too.
func (p *planner) Begin(ctx context.Context) (tx pgx.Tx, err error) {
	p.Tx, err = p.Tx.Begin(ctx)
	return p, err
}

func (p *planner) plan(ctx context.Context, sql string, args []any) {
	p.t.Helper()
	rows, _ := p.Tx.Query(ctx, "explain "+sql, args...)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(p.t, err, sql)
	p.plans = append(p.plans, strings.Join(lines, "\n"))
}

// An index over the rows that a rule's condition takes is used, in spite of the condition's own names.
func TestARuleUsesAPartialIndex(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		create table public.carts (id bigint primary key, seen timestamptz not null, ordered_at timestamptz, mail text);
		insert into public.carts select i, now() - interval '40 days', case when i % 100 > 0 then now() end, 'a' from generate_series(1, 20000) i;
		create index open_carts on public.carts (seen) where ordered_at is null;
		analyze public.carts`)
	for name, when := range map[string]string{
		"Plain":     "ordered_at is null",
		"Named":     "carts.ordered_at is null -- open",
		"Subselect": "ordered_at is null and not exists (select from public.carts other where other.id = -carts.id)",
	} {
		t.Run(name, func(t *testing.T) {
			rule := store.TableRule{Table: "public.carts", When: when, Since: "seen", After: 24 * time.Hour}
			p := &planner{Tx: tx, t: t}
			found, err := store.LockDueRows(t.Context(), p, rule, store.DueRows{Now: time.Now(), Limit: 10})
			require.NoError(t, err)
			require.Equal(t, 10, found.Len())
			due, _, err := store.CountDueRows(t.Context(), p, rule, time.Now(), 0)
			require.NoError(t, err)
			require.Equal(t, 200, due)
			require.Len(t, p.plans, 3)
			require.Contains(t, p.plans[1], "open_carts")
			require.Contains(t, p.plans[2], "open_carts")
		})
	}
}
