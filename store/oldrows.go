package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// OldRowValues reads what rows of a rule, and what belongs to them, hold that EraseRows is going to erase, and the
// same of some other rows of the table, up to others of them, to compare with. The Ref of a value is the row's place in
// the batch, or of another row some other text. Call it before EraseRows.
func OldRowValues(ctx context.Context, tx pgx.Tx, r TableRule, b RowBatch, others int) ([]OldValue, error) {
	var values []OldValue
	for i := range b.Len() {
		err := r.each(func(table string, child *TableChild) error {
			var args arguments
			from, where := b.One(i).reach(child, args.add)
			query := `select '` + strconv.Itoa(i) + `', to_jsonb(t) from ` + QuoteTable(table) + ` t, ` + from + ` where ` + where
			found, err := readOld(ctx, tx, r.erasureOf(table, child), query, args)
			values = append(values, found...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	var args arguments
	from, where := b.reach(nil, args.add)
	query := `select 'other-' || row_number() over (), to_jsonb(t) from ` + QuoteTable(r.Table) + ` t
		where not exists (select from ` + from + ` where ` + where + `) limit ` + args.add(others)
	found, err := readOld(ctx, tx, r.erasureOf(r.Table, nil), query, args)
	return append(values, found...), err
}

// erasureOf is what the rule does to one of its tables.
func (r TableRule) erasureOf(table string, child *TableChild) TableErasure {
	if child != nil || !r.Overwrite {
		return TableErasure{Table: table, DeleteRows: true}
	}
	return TableErasure{Table: table, Writes: r.Writes}
}

// OldSubjectValues reads what rows hold that EraseSubjectRows is going to erase, with ref as the Ref of all.
func OldSubjectValues(ctx context.Context, tx pgx.Tx, o Orders, e TableErasure, s Subject, ref string) ([]OldValue, error) {
	if len(e.Path) == 0 {
		return nil, nil
	}
	search, err := newSearch(ctx, tx, o, s, Reached{Table: e.Table, Paths: [][]Link{e.Path}})
	if err != nil {
		return nil, err
	}
	search.args = arguments{ref}
	from, where, ok := search.directly(e.Table, e.Path)
	if !ok {
		return nil, nil
	}
	query := `select $1::text, to_jsonb(t) from ` + QuoteTable(e.Table) + ` t where ` + exists(from, where)
	return readOld(ctx, tx, e, o.sql(query), search.args)
}

// readOld reads rows that a query gives as a reference and a document.
func readOld(ctx context.Context, tx pgx.Tx, e TableErasure, query string, args arguments) ([]OldValue, error) {
	rows, _ := tx.Query(ctx, `select * from (`+query+`) r limit `+strconv.Itoa(mostRows), args...) // ForEachRow reports its error
	reader := oldReader{erasure: e, plans: map[string]*documentNode{}}
	if err := reader.readPlans(); err != nil {
		return nil, err
	}
	if err := reader.read(rows, reader.row); err != nil {
		return nil, fmt.Errorf("read old values of %s: %w", e.Table, err)
	}
	return reader.values, nil
}
