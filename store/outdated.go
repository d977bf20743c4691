package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// outdated is a query for the orders, not a rule's rows or a person's request, that are there and erased, and whose last
// certificate is of another policy than the one with the hash $1. Certificates that tell of a search or of shared rows
// say nothing of all tables.
func (o Orders) outdated(refType string) string {
	return o.sql(`
		select l.order_ref
		from (
		    select distinct on (order_ref) order_ref, policy_hash
		    from kvit.erasure_certificate
		    where coalesce(clock, '') not in ('residue', 'shared') and order_ref > $2
		      and order_ref <> 'table:' || coalesce(clock, '') and order_ref <> 'cart:' || coalesce(clock, '') and order_ref not like 'request:%'
		    order by order_ref, number desc
		) l
		where l.policy_hash <> $1
		  and exists (select from {orders} o where o.{ref} = ` + refOf("l.order_ref", refType) + ` and {o.erased_at} is not null)`)
}

// OutdatedOrders lists orders that were erased by another policy than the one with this hash, limit of them after the
// reference after, by reference.
func OutdatedOrders(ctx context.Context, db DB, o Orders, policyHash, after string, limit int) ([]string, error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return nil, err
	}
	rows, _ := db.Query(ctx, o.outdated(refType)+` order by l.order_ref limit $3`, policyHash, after, limit) // Collect reports its error
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find orders of an earlier policy: %w", err)
	}
	return refs, nil
}

// CountOutdatedOrders counts all of them.
func CountOutdatedOrders(ctx context.Context, db DB, o Orders, policyHash string) (n int64, err error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return 0, err
	}
	if err := db.QueryRow(ctx, `select count(*) from (`+o.outdated(refType)+`) t`, policyHash, "").Scan(&n); err != nil {
		return 0, fmt.Errorf("count orders of an earlier policy: %w", err)
	}
	return n, nil
}
