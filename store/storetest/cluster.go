package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/migrations"
	"kvit/store/localpg"
)

const (
	urlVariable   = "KVIT_TEST_DATABASE_URL"
	majorVariable = "KVIT_TEST_POSTGRES"
	emptyTemplate = "template0" // nobody connects to it, so it can always be copied
	poolSize      = 10
	sharedSize    = 100       // each Tx of a test holds one until the test ends
	migrationLock = 5_884_838 // any number: test binaries on one server migrate one after the other
)

// testSettings trade durability for speed: the data is gone with the test.
var testSettings = map[string]string{
	"fsync":              "off",
	"full_page_writes":   "off",
	"synchronous_commit": "off",
	"autovacuum":         "off", // databases live for seconds
	"max_connections":    "500", // many tests at once, each with a pool
}

// What this test binary has started, once, and Run stops.
var (
	privateServer = sync.OnceValues(startServer)
	sharedCluster = sync.OnceValues(openCluster)
	sharedPool    = sync.OnceValues(openSharedPool)

	mu       sync.Mutex
	closings []func(context.Context) error
)

// atEnd has Run call f; what came last ends first.
func atEnd(f func(context.Context) error) {
	mu.Lock()
	defer mu.Unlock()
	closings = append(closings, f)
}

func stopShared() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	mu.Lock()
	defer mu.Unlock()
	var errs []error
	for i := len(closings) - 1; i >= 0; i-- {
		errs = append(errs, closings[i](ctx))
	}
	closings = nil
	return errors.Join(errs...)
}

func startServer() (*localpg.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	major, err := Major()
	if err != nil {
		return nil, err
	}
	s, err := localpg.Start(ctx, localpg.Options{Major: major, Settings: testSettings})
	if err != nil {
		return nil, err
	}
	atEnd(s.Stop)
	return s, nil
}

// Major is the version of Postgres that $KVIT_TEST_POSTGRES asks for; 0: whatever is there.
func Major() (int, error) {
	given := os.Getenv(majorVariable)
	if given == "" {
		return 0, nil
	}
	major, err := strconv.Atoi(given)
	if err != nil {
		return 0, fmt.Errorf("read $%s: want a major version of Postgres, as in 17", majorVariable)
	}
	return major, nil
}

// cluster is the server that tests have their databases on.
type cluster struct {
	base     *url.URL
	admin    *pgxpool.Pool
	migrated func() (string, error) // the name of the migrated template, made by the first call
}

func openCluster() (*cluster, error) {
	base, err := clusterURL()
	if err != nil {
		return nil, err
	}
	admin, err := newPool(base.String())
	if err != nil {
		return nil, err
	}
	atEnd(func(context.Context) error { admin.Close(); return nil })
	c := &cluster{base: base, admin: admin}
	c.migrated = sync.OnceValues(c.makeTemplate)
	return c, nil
}

func clusterURL() (*url.URL, error) {
	if given := os.Getenv(urlVariable); given != "" {
		u, err := url.Parse(given)
		if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
			return nil, fmt.Errorf("read $%s: want postgres://user:password@host:port/database", urlVariable)
		}
		return u, nil
	}
	s, err := privateServer()
	if err != nil {
		return nil, err
	}
	return url.Parse(s.URL("postgres"))
}

func (c *cluster) url(database string) string {
	u := *c.base
	u.Path = "/" + database
	return u.String()
}

// create makes a database as a copy and returns its name.
func (c *cluster) create(ctx context.Context, template string) (string, error) {
	name := fmt.Sprintf("kvit_test_%d_%s", os.Getpid(), strings.ToLower(rand.Text()[:10]))
	if _, err := c.admin.Exec(ctx, fmt.Sprintf(`create database %s template %s`, quote(name), quote(template))); err != nil {
		return "", fmt.Errorf("create test database: %w", err)
	}
	return name, nil
}

func (c *cluster) drop(ctx context.Context, name string) error {
	if _, err := c.admin.Exec(ctx, fmt.Sprintf(`drop database %s with (force)`, quote(name))); err != nil {
		return fmt.Errorf("drop test database: %w", err)
	}
	return nil
}

func (c *cluster) makeTemplate() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	name, err := c.create(ctx, emptyTemplate)
	if err != nil {
		return "", err
	}
	atEnd(func(ctx context.Context) error { return c.drop(ctx, name) })
	if err := c.migrate(ctx, name); err != nil {
		return "", fmt.Errorf("migrate test template: %w", err)
	}
	return name, nil
}

// migrate leaves no connection behind, or the database could not be copied.
// It holds a lock on the server: migrations make roles, and these belong to
// all databases, while the lock of the migrations belongs to one.
func (c *cluster) migrate(ctx context.Context, database string) error {
	return pgx.BeginFunc(ctx, c.admin, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, migrationLock); err != nil {
			return err
		}
		pool, err := newPool(c.url(database))
		if err != nil {
			return err
		}
		defer pool.Close()
		_, err = migrations.Up(ctx, pool, slog.New(slog.DiscardHandler))
		return err
	})
}

// openSharedPool is on a copy: connections to the template would keep it from
// being copied.
func openSharedPool() (*pgxpool.Pool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := sharedCluster()
	if err != nil {
		return nil, err
	}
	template, err := c.migrated()
	if err != nil {
		return nil, err
	}
	name, err := c.create(ctx, template)
	if err != nil {
		return nil, err
	}
	atEnd(func(ctx context.Context) error { return c.drop(ctx, name) })
	pool, err := newPoolOf(c.url(name), sharedSize)
	if err != nil {
		return nil, err
	}
	atEnd(func(context.Context) error { pool.Close(); return nil })
	return pool, nil
}

func newPool(url string) (*pgxpool.Pool, error) { return newPoolOf(url, poolSize) }

func newPoolOf(url string, size int32) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read database URL: %w", err)
	}
	config.MaxConns = size
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return pool, nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
