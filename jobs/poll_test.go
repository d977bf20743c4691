package jobs_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp"
	"kvit/erp/erptest"
	"kvit/erp/watcher"
	"kvit/jobs"
	"kvit/store"
	"kvit/store/storetest"
)

// A source that is polled marks the order; one that is broken, and one that never answers, keep it from nothing.
func TestPollMarksOrders(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	exec := func(sql string) {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`create table public.orders (number text primary key, placed timestamptz, imported timestamptz, erp text, erased timestamptz)`)
	exec(`insert into public.orders (number, placed) values ('1', now() - interval '1 hour'), ('2', now() - interval '1 hour')`)
	orders := store.Orders{Table: "public.orders", Ref: "number", PlacedAt: "placed", ImportedAt: "imported", ERPNumber: "erp", ErasedAt: "erased", AwaitingImport: "true"}

	var watchers []*watcher.Watcher
	var sources []store.ERPSource
	add := func(name string) *erptest.Memory {
		meter := &erp.Meter{}
		memory := erptest.NewMemory(meter)
		watchers = append(watchers, watcher.New(watcher.Options{DB: pool, Orders: orders, Logger: slog.New(slog.DiscardHandler), Source: watcher.Source{
			Name: name, Kind: "memory", Fingerprint: name, Connector: memory, Meter: meter, Matcher: erp.Matcher{Prefix: "WEB-"}, Poll: time.Hour, Overlap: time.Hour,
		}}))
		sources = append(sources, store.ERPSource{Name: name, Kind: "memory", Enabled: true, Poll: time.Hour, Fingerprint: name})
		return memory
	}
	add("good").Put(erp.Document{Kind: erp.OrderDocument, Ref: "web-1", Number: "SO-1", ChangedAt: time.Now()})
	add("broken").Fail(erp.Fail(erp.Unauthorized, "the credentials are wrong"))
	never, release := add("slow"), make(chan struct{})
	never.Put(erp.Document{Kind: erp.OrderDocument, Ref: "WEB-2", Number: "SO-2", ChangedAt: time.Now()})
	never.Between(func() { <-release })
	require.NoError(t, store.SyncERPSources(t.Context(), pool, sources))

	client, err := jobs.NewClient(jobs.Options{Pool: pool, Timeout: 30 * time.Second, Notify: true, Orders: &orders, ERPs: watchers, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() { _ = client.StopAndCancel(t.Context()) })
	t.Cleanup(func() { close(release) })

	require.Eventually(t, func() bool {
		var number *string
		require.NoError(t, pool.QueryRow(t.Context(), `select erp from public.orders where number = '1'`).Scan(&number))
		return number != nil && *number == "SO-1"
	}, time.Minute, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		list, err := store.ERPSources(t.Context(), pool)
		require.NoError(t, err)
		for _, s := range list {
			if s.Name == "broken" && s.Failures == 1 {
				return strings.Contains(*s.LastError, "credentials")
			}
		}
		return false
	}, time.Minute, 20*time.Millisecond)
}
