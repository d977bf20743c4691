package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ERPSource is a configured ERP as the database knows it.
type ERPSource struct {
	Name        string
	Kind        string
	Enabled     bool
	Poll        time.Duration
	Fingerprint string     // of the settings
	Expires     *time.Time // when the credentials end, as the configuration says; nil: it does not
}

// SyncERPSources makes kvit.erp_source equal to the configuration. A source with other settings than before is new:
// its watermarks go. Every source is proved again, and no longer left alone, since somebody may have mended it. When its credentials end
// is known before it is proved: they may have ended, and then it cannot be.
func SyncERPSources(ctx context.Context, db DB, list []ERPSource) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		names := make([]string, 0, len(list))
		for _, s := range list {
			names = append(names, s.Name)
			if err := syncERPSource(ctx, tx, s); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `
			update kvit.erp_source
			set enabled = false, removed_at = now(), lease = null, lease_until = null
			where removed_at is null and not (name = any ($1))`, names)
		return err
	})
	if err != nil {
		return fmt.Errorf("sync ERP sources: %w", err)
	}
	return nil
}

func syncERPSource(ctx context.Context, tx pgx.Tx, s ERPSource) error {
	_, err := tx.Exec(ctx, `
		delete from kvit.erp_watermark w
		using kvit.erp_source s
		where s.name = $1 and w.source = s.name and (s.fingerprint <> $2 or s.kind <> $3)`, s.Name, s.Fingerprint, s.Kind)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		insert into kvit.erp_source as s (name, kind, enabled, poll_seconds, fingerprint, credentials_expire)
		values ($1, $2, $3, $4, $5, $6)
		on conflict (name) do update
		set kind = excluded.kind, enabled = excluded.enabled, poll_seconds = excluded.poll_seconds, fingerprint = excluded.fingerprint,
		    added_at = case when s.removed_at is null and s.enabled then s.added_at else now() end, removed_at = null,
		    probed_at = null, not_before = null, subscribed_until = null,
		    credentials_expire = coalesce(excluded.credentials_expire, case when s.fingerprint = excluded.fingerprint then s.credentials_expire end),
		    lease = case when s.fingerprint = excluded.fingerprint then s.lease end,
		    lease_until = case when s.fingerprint = excluded.fingerprint then s.lease_until end,
		    looked_up_at = case when s.fingerprint = excluded.fingerprint then s.looked_up_at end,
		    lookup_began_at = case when s.fingerprint = excluded.fingerprint then s.lookup_began_at end,
		    lookup_after = case when s.fingerprint = excluded.fingerprint then s.lookup_after end`,
		s.Name, s.Kind, s.Enabled, int(s.Poll/time.Second), s.Fingerprint, s.Expires)
	return err
}

// ERPPoll is what a run of a source begins with.
type ERPPoll struct {
	Now           time.Time
	ProbedAt      *time.Time
	Calls         int // of today, before this run
	Failures      int
	LookedUpAt    *time.Time
	LookupBeganAt *time.Time
	LookupAfter   *string

	SubscribedUntil *time.Time

	Watermarks map[string]time.Time `db:"-"`
}

// ErrNotNow says that a source is not to be asked at the moment: another run is under way, or it is left alone.
var ErrNotNow = errors.New("not to be asked now")

// BeginERPPoll takes the lease of a source, for one run of at most so long in the whole cluster. Of a source that is not to
// be asked, or not with these settings, it returns ErrNotNow and how long that lasts; 0: not known, or for good.
func BeginERPPoll(ctx context.Context, db DB, name, fingerprint, lease string, longest time.Duration) (ERPPoll, time.Duration, error) {
	rows, _ := db.Query(ctx, `
		update kvit.erp_source
		set lease = $2, lease_until = now() + make_interval(secs => $3), last_run_at = now(),
		    calls = case when calls_on = (now() at time zone 'UTC')::date then calls else 0 end, calls_on = (now() at time zone 'UTC')::date
		where name = $1 and fingerprint = $4 and enabled and removed_at is null and (lease_until is null or lease_until < now()) and (not_before is null or not_before <= now())
		returning now() as now, probed_at, calls, failures, looked_up_at, lookup_began_at, lookup_after, subscribed_until`,
		name, lease, longest.Seconds(), fingerprint) // Collect reports its error
	poll, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[ERPPoll])
	if errors.Is(err, pgx.ErrNoRows) {
		return ERPPoll{}, notBefore(ctx, db, name), ErrNotNow
	}
	if err != nil {
		return ERPPoll{}, 0, fmt.Errorf("begin to poll %s: %w", name, err)
	}
	poll.Watermarks, err = watermarks(ctx, db, name)
	return poll, 0, err
}

func notBefore(ctx context.Context, db DB, name string) time.Duration {
	var seconds float64
	err := db.QueryRow(ctx, `
		select coalesce(extract(epoch from not_before - now()), 0)::float8 from kvit.erp_source
		where name = $1 and enabled and removed_at is null and not_before > now()`, name).Scan(&seconds)
	if err != nil {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

func watermarks(ctx context.Context, db DB, source string) (map[string]time.Time, error) {
	rows, _ := db.Query(ctx, `select stream, changed_at from kvit.erp_watermark where source = $1`, source) // ForEachRow reports its error
	marks := map[string]time.Time{}
	var stream string
	var at time.Time
	_, err := pgx.ForEachRow(rows, []any{&stream, &at}, func() error {
		marks[stream] = at
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read watermarks of %s: %w", source, err)
	}
	return marks, nil
}

// ErrLeaseLost says that another run has taken a source over: this one writes nothing more.
var ErrLeaseLost = errors.New("another run has taken over")

// holding runs a statement of one who holds the lease; its $1 and $2 are name and lease.
func holding(ctx context.Context, db DB, name, lease, what, sql string, args ...any) error {
	tag, err := db.Exec(ctx, sql, append([]any{name, lease}, args...)...)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", what, name, err)
	}
	if tag.RowsAffected() == 0 {
		return ErrLeaseLost
	}
	return nil
}

// NoteERPProbe notes what was proved.
func NoteERPProbe(ctx context.Context, db DB, name, lease, proved string, expires *time.Time) error {
	return holding(ctx, db, name, lease, "note probe", `
		update kvit.erp_source set probed_at = now(), proved = $3, credentials_expire = $4
		where name = $1 and lease = $2`, proved, expires)
}

// MoveERPWatermark notes how far the changes of a stream have been read. It never goes back.
func MoveERPWatermark(ctx context.Context, db DB, name, lease, stream string, to time.Time) error {
	return holding(ctx, db, name, lease, "move watermark", `
		insert into kvit.erp_watermark as w (source, stream, changed_at)
		select name, $3, $4 from kvit.erp_source where name = $1 and lease = $2
		on conflict (source, stream) do update set changed_at = greatest(w.changed_at, excluded.changed_at)`, stream, to)
}

// DropERPWatermarks forgets those whose stream ends so.
func DropERPWatermarks(ctx context.Context, db DB, name, lease, suffix string) error {
	_, err := db.Exec(ctx, `
		delete from kvit.erp_watermark w
		using kvit.erp_source s
		where s.name = $1 and s.lease = $2 and w.source = s.name and right(w.stream, char_length($3)) = $3`, name, lease, suffix)
	if err != nil {
		return fmt.Errorf("forget watermarks of %s: %w", name, err)
	}
	return nil
}

// MoveERPLookup notes how far the lookup of all open orders has come: after is the last reference that was asked for. An
// empty one ends it.
func MoveERPLookup(ctx context.Context, db DB, name, lease string, began time.Time, after string) error {
	if after == "" {
		return holding(ctx, db, name, lease, "end lookup", `
			update kvit.erp_source set looked_up_at = $3, lookup_began_at = null, lookup_after = null
			where name = $1 and lease = $2`, began)
	}
	return holding(ctx, db, name, lease, "move lookup", `
		update kvit.erp_source set lookup_began_at = $3, lookup_after = $4
		where name = $1 and lease = $2`, began, after)
}

// ERPRun is how a run of a source ended.
type ERPRun struct {
	Problem   string        // empty: it succeeded
	Warning   string        // empty: none
	Wait      time.Duration // the source is left alone for so long
	Calls     int
	Documents int
}

// EndERPPoll notes how a run ended, and gives the lease back.
func EndERPPoll(ctx context.Context, db DB, name, lease string, r ERPRun) error {
	return holding(ctx, db, name, lease, "end poll", `
		update kvit.erp_source
		set lease = null, lease_until = null,
		    last_success_at = case when $3 = '' then now() else last_success_at end,
		    failures = case when $3 = '' then 0 else failures + 1 end,
		    last_error = coalesce(nullif($3, ''), last_error), last_error_at = case when $3 = '' then last_error_at else now() end,
		    warning = nullif($4, ''), not_before = case when $5 > 0 then now() + make_interval(secs => $5) end,
		    calls = calls + $6, documents = documents + $7
		where name = $1 and lease = $2`, r.Problem, r.Warning, r.Wait.Seconds(), r.Calls, r.Documents)
}

// OpenOrders lists references of orders that the ERP should get, in their order as text, after the given one.
func OpenOrders(ctx context.Context, db DB, o Orders, after string, limit int) ([]string, error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return nil, err
	}
	rows, _ := db.Query(ctx, o.sql(`
		select ref
		from (select o.{ref}::text collate "C" as ref from `+o.waiting(refType)+` and o.{ref} is not null) open
		where ref > $1 and ref = kvit.order_ref(ref)
		order by ref
		limit $2`), after, limit) // Collect reports its error
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list orders that wait for the ERP: %w", err)
	}
	return refs, nil
}

// OldestOpen is when the oldest of these orders was placed; nil: there are none.
func OldestOpen(ctx context.Context, db DB, o Orders) (*time.Time, error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return nil, err
	}
	var at *time.Time
	err = db.QueryRow(ctx, o.sql(`select min(o.{placed_at}::timestamptz) from `+o.waiting(refType)+` and isfinite(o.{placed_at})`)).Scan(&at)
	if err != nil {
		return nil, fmt.Errorf("find the oldest order that waits for the ERP: %w", err)
	}
	return at, nil
}

// NamedOrder is an order of the shop's that an ERP may mean.
type NamedOrder struct {
	Ref      string
	Imported bool
}

// NamedOrders finds orders by their references, whether the ERP should get them or not, but for those that are erased.
func NamedOrders(ctx context.Context, db DB, o Orders, refs []string) ([]NamedOrder, error) {
	shape, err := o.shape(ctx, db)
	if err != nil {
		return nil, err
	}
	refs = shape.fitting(refs)
	if len(refs) == 0 {
		return nil, nil
	}
	rows, _ := db.Query(ctx, o.sql(`
		select distinct o.{ref}::text as ref, {o.imported_at} is not null as imported
		from {orders} o
		where o.{ref} = any ($1::text[]::`+shape.refType+`[]) and {o.erased_at} is null`), refs) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[NamedOrder])
	if err != nil {
		return nil, fmt.Errorf("find orders: %w", err)
	}
	return list, nil
}

// Evidence is a row for kvit.erp_receipt.
type Evidence struct {
	OrderRef     string
	Number       string // empty: none
	DocumentKind string
	ImportedAt   *time.Time
	Open         bool // the order is not marked

	// Of the document, where the source's are compared with the order's.
	Lines int    // 0: not known
	Total string // a decimal; empty: not known
}

// InsertEvidence writes what is not there yet, and returns how much that was. The same evidence of an order that is still
// open although it was judged is written again, once an hour: what it had marked is gone. Evidence that is incomplete is
// written again when the ERP tells other lines or another total.
func InsertEvidence(ctx context.Context, db DB, source string, list []Evidence) (int, error) {
	refs, numbers, kinds := make([]string, len(list)), make([]string, len(list)), make([]string, len(list))
	times, open := make([]*time.Time, len(list)), make([]bool, len(list))
	lines, totals := make([]int, len(list)), make([]string, len(list))
	for i, e := range list {
		refs[i], numbers[i], kinds[i], times[i], open[i] = e.OrderRef, e.Number, e.DocumentKind, e.ImportedAt, e.Open
		lines[i], totals[i] = e.Lines, e.Total
	}
	tag, err := db.Exec(ctx, `
		with evidence as materialized (
		    select distinct on (ref, number, kind, lines, total) ref, nullif(number, '') as number, kind, imported_at, open, place,
		           nullif(lines, 0) as lines, nullif(total, '')::numeric as total
		    from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[], $7::integer[], $8::text[]) with ordinality
		        as e (ref, number, kind, imported_at, open, lines, total, place)
		    order by ref, number, kind, lines, total, place
		)
		insert into kvit.erp_receipt (order_ref, erp_order_number, document_kind, imported_at, source, line_count, total)
		select e.ref, e.number, e.kind, e.imported_at, $1, e.lines, e.total
		from evidence e
		where not exists (
		    select from kvit.erp_receipt r
		    where r.order_ref = e.ref and r.source = $1 and r.document_kind = e.kind and r.erp_order_number is not distinct from e.number
		      and (not e.open
		           or (r.line_count is not distinct from e.lines and r.total is not distinct from e.total or r.status not in ('new', 'incomplete'))
		              and (r.status in ('new', 'incomplete') or r.seen_at > now() - interval '1 hour')))
		order by e.place`, source, refs, numbers, kinds, times, open, lines, totals)
	if err != nil {
		return 0, fmt.Errorf("write evidence: %w", err)
	}
	written := int(tag.RowsAffected())
	if written == 0 {
		return 0, nil
	}
	if _, err := db.Exec(ctx, `update kvit.erp_source set evidence = evidence + $2 where name = $1`, source, written); err != nil {
		return written, fmt.Errorf("count evidence: %w", err)
	}
	return written, nil
}

// ERPSourceStatus is where a source stands.
type ERPSourceStatus struct {
	Name              string     `json:"name"`
	Kind              string     `json:"kind"`
	Enabled           bool       `json:"enabled"`
	Proved            *string    `json:"proved"`
	ProbedAt          *time.Time `json:"probed_at"`
	CredentialsExpire *time.Time `json:"credentials_expire"`
	NotBefore         *time.Time `json:"not_before"`
	LastRunAt         *time.Time `json:"last_run_at"`
	LastSuccessAt     *time.Time `json:"last_success_at"`
	LastError         *string    `json:"last_error"` // also when it has succeeded since
	LastErrorAt       *time.Time `json:"last_error_at"`
	Failures          int        `json:"failures"` // in a row
	Warning           *string    `json:"warning"`
	Calls             int        `json:"calls_today"`
	Documents         int64      `json:"documents"`
	Evidence          int64      `json:"evidence"`
	LookedUpAt        *time.Time `json:"looked_up_at"`
	Silent            bool       `json:"silent"` // no success for three polls
}

// ERPSources tells of all sources that the configuration names.
func ERPSources(ctx context.Context, db DB) ([]ERPSourceStatus, error) {
	rows, _ := db.Query(ctx, `
		select name, kind, enabled, proved, probed_at, credentials_expire, not_before, last_run_at, last_success_at, last_error, last_error_at,
		       failures, warning, case when calls_on = (now() at time zone 'UTC')::date then calls else 0 end as calls, documents, evidence, looked_up_at,
		       enabled and coalesce(last_success_at, added_at) < now() - make_interval(secs => 3 * poll_seconds + 60) as silent
		from kvit.erp_source
		where removed_at is null
		order by name`) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[ERPSourceStatus])
	if err != nil {
		return nil, fmt.Errorf("read ERP sources: %w", err)
	}
	return list, nil
}
