package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"kvit/config"
	"kvit/store"
)

// load reads the configuration: --config, else $KVIT_CONFIG, else ./kvit.yaml; some of its sections may be
// left out.
func (a *app) load(without ...string) (config.Config, error) {
	path := a.configPath
	if path == "" {
		path = a.getenv("KVIT_CONFIG")
	}
	if path == "" {
		path = "kvit.yaml"
	}
	return config.LoadWithout(path, a.getenv, allKinds(), without...)
}

// open reads the configuration and makes the pool, for commands that need both at once.
func (a *app) open(ctx context.Context) (config.Config, *pgxpool.Pool, *slog.Logger, error) {
	cfg, err := a.load()
	if err != nil {
		return config.Config{}, nil, nil, err
	}
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return config.Config{}, nil, nil, err
	}
	return cfg, pool, newLogger(cfg.Log, a.stderr), nil
}

func openPool(ctx context.Context, cfg config.Config) (*pgxpool.Pool, error) {
	return store.Open(ctx, store.Options{URL: cfg.Database.URL.Reveal(), MaxConnections: cfg.Database.MaxConnections, TimeZone: sessionZone(cfg)})
}

// newLogger writes for people at a terminal and JSON elsewhere, unless the configuration says.
func newLogger(c config.Log, w io.Writer) *slog.Logger {
	format := c.Format
	if format == "auto" {
		format = "json"
		if isTerminal(w) {
			format = "text"
		}
	}
	if format == "text" {
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: c.Level, TimeFormat: time.TimeOnly, NoColor: !isTerminal(w)}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.Level}))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
