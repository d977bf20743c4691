package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// auditTraces searches the text of every row of every table, kvit's and River's included, for the
// people whose orders were erased.
func (d *demo) auditTraces(ctx context.Context, _ *Summary) (Promise, error) {
	p := Promise{Text: "nothing is left of erased people"}
	erased, err := d.erasedPeople(ctx)
	if err != nil {
		return p, err
	}
	tables, err := d.tables(ctx)
	if err != nil {
		return p, err
	}
	rows, others := 0, map[int]bool{}
	for _, table := range tables {
		n, err := d.searchTable(ctx, table, func(number int) {
			others[number] = true
			if ref, ok := erased[number]; ok {
				p.problem("%s holds something of the person of order %s", table, ref)
			}
		})
		if err != nil {
			return p, err
		}
		rows += n
	}
	if len(others) == 0 {
		p.problem("the search finds nobody, not even those whose orders stand: it does not work")
	}
	p.Found = fmt.Sprintf("%d people, %d rows of %d tables", len(erased), rows, len(tables))
	return p, nil
}

// erasedPeople gives the orders that were erased by their person's number.
func (d *demo) erasedPeople(ctx context.Context) (map[int]string, error) {
	list, err := d.stands(ctx)
	if err != nil {
		return nil, err
	}
	orders, people := d.ledger.allOrders(), map[int]string{}
	for _, o := range list {
		if o.ErasedAt != nil {
			people[orders[o.Ref].person] = o.Ref
		}
	}
	return people, nil
}

func (d *demo) tables(ctx context.Context) ([]string, error) {
	rows, _ := d.database.admin.Query(ctx, `
		select format('%I.%I', schemaname, tablename)
		from pg_tables
		where schemaname not in ('pg_catalog', 'information_schema')
		order by 1`) // Collect reports its error
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return tables, nil
}

// searchTable calls found with the number of each person in the table's text, which is the same as
// in a pg_dump, and returns how many rows it read. table is quoted.
func (d *demo) searchTable(ctx context.Context, table string, found func(number int)) (int, error) {
	conn, err := d.database.admin.Acquire(ctx)
	if err != nil {
		return 0, fmt.Errorf("open database: %w", err)
	}
	defer conn.Release()
	reader, writer := io.Pipe()
	go func() {
		_, err := conn.Conn().PgConn().CopyTo(ctx, writer, "copy "+table+" to stdout")
		_ = writer.CloseWithError(err)
	}()
	n, err := search(reader, found)
	_ = reader.Close() // ends the copy if the search has given up
	if err != nil {
		return n, fmt.Errorf("search table %s: %w", table, err)
	}
	return n, nil
}

// search calls found with the number of each person in a text, and returns its lines.
func search(text io.Reader, found func(number int)) (lines int, err error) {
	reader := bufio.NewReader(text)
	for {
		line, err := reader.ReadString('\n')
		for _, match := range traces.FindAllStringSubmatch(line, -1) {
			number, _ := strconv.Atoi(match[1]) // traces lets digits through only
			found(number)
		}
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		lines++
	}
}

// auditLog searches the daemon's log for anybody at all.
func (d *demo) auditLog(context.Context, *Summary) (Promise, error) {
	p := Promise{Text: "nobody is in the log"}
	log, err := os.Open(d.kvit.log())
	if err != nil {
		return p, fmt.Errorf("read kvit's log: %w", err)
	}
	defer log.Close()
	lines, err := search(log, func(number int) { p.problem("it names person %d", number) })
	if err != nil {
		return p, fmt.Errorf("search kvit's log: %w", err)
	}
	p.Found = fmt.Sprintf("%d lines", lines)
	return p, nil
}
