package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Predicate is SQL of the configuration's, and where it stands.
type Predicate struct {
	Key  string // of the configuration
	From string // an item for FROM, quoted: the rows that it is about
	SQL  string
}

// OrdersPredicate is one over the orders table.
func OrdersPredicate(key string, o Orders, sql string) Predicate {
	return Predicate{Key: key, From: QuoteTable(o.Table) + " o", SQL: sql}
}

// TablePredicate is one over the rows of a table.
func TablePredicate(key, table, sql string) Predicate {
	return Predicate{Key: key, From: QuoteTable(table), SQL: sql}
}

// OtherReading is a predicate that means one thing to kvit, or nothing, and another by the search path that sessions of its
// role begin with, as those of its author may have.
type OtherReading struct {
	Key       string
	Qualified string // what the author may have meant, with every schema in it
}

// OtherReadings compares how Postgres understands predicates by both search paths. It runs none of them, and what it makes for
// that is undone.
func OtherReadings(ctx context.Context, db DB, predicates []Predicate) ([]OtherReading, error) {
	var path string
	if err := db.QueryRow(ctx, `select reset_val from pg_settings where name = 'search_path'`).Scan(&path); err != nil {
		return nil, fmt.Errorf("read the role's search path: %w", err)
	}
	var others []OtherReading
	for _, p := range predicates {
		ours, err := p.reading(ctx, db, searchPath)
		if IsConnection(err) {
			return nil, err
		}
		theirs, theirErr := p.reading(ctx, db, path)
		if IsConnection(theirErr) {
			return nil, theirErr
		}
		if theirErr == nil && (err != nil || ours != theirs) {
			others = append(others, OtherReading{Key: p.Key, Qualified: theirs})
		}
	}
	return others, nil
}

var errUndone = errors.New("undone on purpose")

// reading is how Postgres tells of a predicate, with the schema of everything that is not its own.
func (p Predicate) reading(ctx context.Context, db DB, path string) (text string, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_catalog.set_config('search_path', $1, true)`, path); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `create temporary view kvit_reading as select 1 as one from `+p.From+` where (`+p.SQL+`
			)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `set local search_path = `+searchPath); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `select pg_get_viewdef('kvit_reading'::regclass)`).Scan(&text); err != nil {
			return err
		}
		return errUndone
	})
	if !errors.Is(err, errUndone) {
		return "", err
	}
	_, text, _ = strings.Cut(text, "WHERE ")
	return strings.Join(strings.Fields(strings.TrimSuffix(strings.TrimSpace(text), ";")), " "), nil
}
