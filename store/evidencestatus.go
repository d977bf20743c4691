package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// EvidenceStatuses tells what became of evidence of a source, by the newest row that says the same; new where there is none.
func EvidenceStatuses(ctx context.Context, db DB, source string, list []Evidence) ([]string, error) {
	refs, numbers, kinds := make([]string, len(list)), make([]string, len(list)), make([]string, len(list))
	for i, e := range list {
		refs[i], numbers[i], kinds[i] = e.OrderRef, e.Number, e.DocumentKind
	}
	rows, _ := db.Query(ctx, `
		select coalesce(newest.status, 'new')
		from unnest($2::text[], $3::text[], $4::text[]) with ordinality as e (ref, number, kind, place)
		left join lateral (
		    select r.status from kvit.erp_receipt r
		    where r.order_ref = kvit.order_ref(e.ref) and r.source = $1 and r.document_kind = e.kind
		      and r.erp_order_number is not distinct from nullif(e.number, '')
		    order by r.id desc limit 1
		) newest on true
		order by e.place`, source, refs, numbers, kinds) // Collect reports its error
	statuses, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read what became of evidence: %w", err)
	}
	return statuses, nil
}
