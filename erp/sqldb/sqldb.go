// Package sqldb asks ERPs by reading their databases: Postgres, MySQL, MariaDB or SQL Server. What is asked are
// statements of the operator's; references and times go to the server as parameters. It only reads: transactions are
// read only where the server has such, and are rolled back everywhere.
package sqldb

import (
	"context"
	"database/sql"
	"regexp"
	"time"

	"kvit/erp"
)

const (
	defaultBatch   = 100
	pageRows       = 500       // documents that are handed over at once
	maxLookupRows  = 10_000    // of one batch: more means that the statement does not filter
	maxChangedRows = 1_000_000 // of one round: more are not read in a poll
	idleTime       = 30 * time.Second
)

// Database is an open connector. It is an erp.Finder.
type Database struct {
	options Options
	dialect dialect
	db      *sql.DB
	meter   *erp.Meter
	timeout time.Duration
}

// following is a Database that is also asked what has changed.
type following struct{ *Database }

// New makes a connector of options that were checked. It does not connect.
func New(o Options, common erp.Common) (erp.Connector, error) {
	timeout := common.HTTP.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	if o.Batch == 0 {
		o.Batch = defaultBatch
	}
	db, d, err := open(o.Access, timeout)
	if err != nil {
		return nil, err
	}
	// One connection, which a poll uses for all its questions, and which does not stay for the next.
	db.SetMaxOpenConns(1)
	db.SetConnMaxIdleTime(idleTime)
	database := &Database{options: o, dialect: d, db: db, meter: common.Meter, timeout: timeout}
	if o.Changes == "" {
		return database, nil
	}
	return following{database}, nil
}

// Close ends the connection.
func (d *Database) Close() error { return d.db.Close() }

// Traits tell the size of a batch. The statement compares whole values, or it is wrong.
func (d *Database) Traits() erp.Traits {
	return erp.Traits{
		Batch: d.options.Batch, Exact: true, Resolution: d.options.Resolution,
		Lines: d.options.tells("line_count"), Total: d.options.tells("total"),
	}
}

// tells is whether all statements name a column; whether they return it is seen when they are run.
func (o Options) tells(column string) bool {
	named := regexp.MustCompile(`(?i)\b` + column + `\b`).MatchString
	return named(o.Lookup) && (o.Changes == "" || named(o.Changes))
}

// Probe reads the company's name, which must be the expected one.
func (d *Database) Probe(ctx context.Context) (erp.Proof, error) {
	var names []string
	err := d.query(ctx, d.options.Probe, nil, func(rows *sql.Rows) error {
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		if len(columns) != 1 {
			return erp.Fail(erp.Misconfigured, "probe must return one column, the name of the company, and returns %d", len(columns))
		}
		for rows.Next() && len(names) < 2 {
			var value any
			if err := rows.Scan(&value); err != nil {
				return err
			}
			name, _ := text(value)
			names = append(names, name)
		}
		return rows.Err()
	})
	if err != nil {
		return erp.Proof{}, err
	}
	return d.proof(names)
}

func (d *Database) proof(names []string) (erp.Proof, error) {
	expected := d.options.Company
	switch {
	case len(names) == 0:
		return erp.Proof{}, erp.Fail(erp.Unproven, "probe returns no row: nothing proves that this is the right company")
	case expected == "":
		return erp.Proof{Company: "a database that has documents of the shop"}, nil
	case len(names) > 1:
		return erp.Proof{}, erp.Fail(erp.Misconfigured, "probe must return one row, and returns several")
	case names[0] != expected:
		return erp.Proof{}, erp.Fail(erp.Unproven, "probe returns another name than company says: this is another company")
	}
	return erp.Proof{Company: "company " + expected}, nil
}

// Lookup hands over the rows that the statement returns.
func (d *Database) Lookup(ctx context.Context, refs []string, found func([]erp.Document) error) error {
	if len(refs) == 0 {
		return nil
	}
	return d.documents(ctx, d.options.Lookup, references(refs), reading{most: maxLookupRows}, found)
}

// Streams is one: the statement says what belongs to it.
func (following) Streams() []string { return []string{"changes"} }

// Since hands over the rows that the statement returns, in its order.
func (f following) Since(ctx context.Context, _ string, from time.Time, found func([]erp.Document) error) error {
	values := map[string][]any{sinceHole: {f.dialect.since(from, f.options.TimeZone)}}
	return f.documents(ctx, f.options.Changes, values, reading{most: maxChangedRows, changes: true}, found)
}

// documents reads rows as they come, and hands over a page whenever it is full.
func (d *Database) documents(ctx context.Context, statement string, values map[string][]any, how reading, found func([]erp.Document) error) error {
	how.zone, how.dialect, how.resolution = d.options.TimeZone, d.dialect, d.options.Resolution
	return d.query(ctx, statement, values, func(rows *sql.Rows) error {
		reader, err := how.of(rows)
		if err != nil {
			return err
		}
		var page []erp.Document
		for n := 0; rows.Next(); n++ {
			if n == how.most {
				return erp.Fail(erp.TooMuch, "the statement returns more than %d rows", how.most)
			}
			doc, err := reader.document(rows)
			if err != nil {
				return err
			}
			page = append(page, doc)
			if len(page) < pageRows {
				continue
			}
			if err := handOver(page, found); err != nil {
				return err
			}
			page = nil
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		return handOver(page, found)
	})
}

// refused is an error of whoever takes the documents, which is not the database's.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

func handOver(page []erp.Document, found func([]erp.Document) error) error {
	if err := found(page); err != nil {
		return refused{err}
	}
	return nil
}

// query runs one statement in a transaction that ends as it began.
func (d *Database) query(ctx context.Context, statement string, values map[string][]any, read func(*sql.Rows) error) error {
	if err := d.meter.Take(); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.db.Conn(limited)
	if err != nil {
		return d.failed(ctx, err, erp.Unreachable)
	}
	defer func() { _ = conn.Close() }() // back to the pool; there is nothing left to lose
	if err := d.dialect.prepare(limited, conn, d.timeout); err != nil {
		return d.failed(ctx, err, erp.Unreachable)
	}
	tx, err := conn.BeginTx(limited, &sql.TxOptions{ReadOnly: d.dialect.readOnly})
	if err != nil {
		return d.failed(ctx, err, erp.Unreachable)
	}
	defer func() { _ = tx.Rollback() }() // of nothing
	filled, args := fill(statement, d.dialect.mark, values)
	rows, err := tx.QueryContext(limited, filled, args...) //nolint:rowserrcheck // read looks at it
	if err != nil {
		return d.failed(ctx, err, erp.TooMuch)
	}
	defer func() { _ = rows.Close() }() // read has seen its error
	if err := read(rows); err != nil {
		return d.failed(ctx, err, erp.TooMuch)
	}
	return nil
}
