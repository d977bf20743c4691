package demo

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/store/localpg"
)

//go:embed shop.sql
var shopTables string

const databaseName = "shop"

// database is the shop's database on a private server.
type database struct {
	server    *localpg.Server
	passwords map[string]string // by login role
	admin     *pgxpool.Pool     // as superuser: the demo's own look at everything
}

// login roles, and what they get: the shop and the ERP only what kvit's migrations prepare for them,
// kvit what its README asks for.
var loginRoles = []string{"shop", "erp", "kvit"}

func startDatabase(ctx context.Context) (*database, error) {
	server, err := localpg.Start(ctx, localpg.Options{})
	if err != nil {
		return nil, err
	}
	d := &database{server: server, passwords: map[string]string{}}
	if err := d.prepare(ctx); err != nil {
		return nil, errors.Join(err, d.stop(context.WithoutCancel(ctx)))
	}
	return d, nil
}

func (d *database) prepare(ctx context.Context) error {
	if err := d.createDatabase(ctx); err != nil {
		return err
	}
	var err error
	if d.admin, err = pgxpool.New(ctx, d.url("")); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if err := d.createRoles(ctx); err != nil {
		return err
	}
	return d.createTables(ctx)
}

func (d *database) createDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, d.server.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to postgres: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "create database "+databaseName); err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return nil
}

func (d *database) createRoles(ctx context.Context) error {
	for _, role := range loginRoles {
		d.passwords[role] = rand.Text()
		// A utility statement takes no parameters; rand.Text is letters and digits.
		if _, err := d.admin.Exec(ctx, fmt.Sprintf("create role %s login password '%s'", role, d.passwords[role])); err != nil {
			return fmt.Errorf("create role %s: %w", role, err)
		}
	}
	_, err := d.admin.Exec(ctx, `
		grant create on schema public to shop;
		alter role kvit createrole;
		grant create on database `+databaseName+` to kvit`)
	if err != nil {
		return fmt.Errorf("grant rights: %w", err)
	}
	return nil
}

func (d *database) createTables(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, d.url("shop"))
	if err != nil {
		return fmt.Errorf("connect as the shop: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, shopTables); err != nil {
		return fmt.Errorf("create the shop's tables: %w", err)
	}
	return nil
}

// admit grants the groups that kvit's migrations have made.
func (d *database) admit(ctx context.Context) error {
	if _, err := d.admin.Exec(ctx, `grant kvit_shop to shop; grant kvit_erp to erp`); err != nil {
		return fmt.Errorf("grant kvit's groups: %w", err)
	}
	return nil
}

// url is how a login role connects; the empty one is the superuser.
func (d *database) url(role string) string {
	u, err := url.Parse(d.server.URL(databaseName))
	if err != nil {
		panic(err) // localpg has made it from parts
	}
	if role != "" {
		u.User = url.UserPassword(role, d.passwords[role])
	}
	return u.String()
}

func (d *database) pool(ctx context.Context, role string, connections int32) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(d.url(role))
	if err != nil {
		return nil, fmt.Errorf("read database URL: %w", err)
	}
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database as %s: %w", role, err)
	}
	return pool, nil
}

func (d *database) stop(ctx context.Context) error {
	if d.admin != nil {
		d.admin.Close()
	}
	return d.server.Stop(ctx)
}
