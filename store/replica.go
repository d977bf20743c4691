package store

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	replicaEvery = 2 * time.Second  // between two looks at a replica
	replicaLook  = 2 * time.Second  // how long a look may take
	replicaStale = 3 * replicaEvery // a look that is older says nothing any more
	replicaTries = 5                // how often a replica is asked in a look that is not yet where the primary was
	replicaPause = 50 * time.Millisecond
	replicaApart = 5 * time.Second     // how far the clocks of replica and primary may be apart
	replicaConns = 6                   // connections of one process's pool, whichever server they lead to
	samples      = 128                 // places in the primary's log that are remembered
	leadsTo      = "kvit: leads to"    // of a connection's custom data: which of the two servers
	toReplica    = "replica"           // a value of it, and of ReadState.From
	toPrimary    = "primary"           // likewise
	notLooked    = "not looked at yet" // at the start
)

// ReadOptions say where what is only shown may be read.
type ReadOptions struct {
	Primary  *pgxpool.Pool // of the server that decides
	URL      string        // of a streaming replica; empty: everything is read from the primary
	MaxLag   time.Duration // a replica that is further behind is left alone
	TimeZone string        // as in Options
	Logger   *slog.Logger
}

// Reads is where pages, status and metrics are read: from a replica while it is known to be close behind the primary, else
// from the primary. Nothing that decides or writes may use it. Its methods may be called from several goroutines.
type Reads struct {
	// Pool leads to the replica or to the primary, as each connection is taken. Without a replica it is the primary's.
	Pool *pgxpool.Pool

	o     ReadOptions
	probe *pgxpool.Pool // of the replica; nil: there is none

	looking sync.Mutex // held by a look
	places  []place    // of the primary's log, oldest first
	before  int64      // how far the replica was at the last look
	mu      sync.Mutex
	state   ReadState
	looked  time.Time // by the process's clock; zero: not yet
}

// place is how far the primary's log was at a time by its clock.
type place struct {
	at  time.Time
	lsn int64
}

// ReadState is where reads go, and how old what they show can be.
type ReadState struct {
	From       string         `json:"from"`        // "replica" or "primary"
	Lag        *time.Duration `json:"-"`           // of the replica when it was looked at, at most; nil: not known
	ReplayedAt *time.Time     `json:"replayed_at"` // when the newest transaction that the replica has was committed; nil: not known
	Problem    string         `json:"problem"`     // why the replica is not read; empty: it is, or there is none
}

// OpenReads makes the pool. It does not connect, and until the first Look everything is read from the primary.
func OpenReads(ctx context.Context, o ReadOptions) (*Reads, error) {
	r := &Reads{Pool: o.Primary, o: o, state: ReadState{From: toPrimary}}
	if o.URL == "" {
		return r, nil
	}
	r.state.Problem = notLooked
	config, err := poolConfig(Options{URL: o.URL, MaxConnections: replicaConns, TimeZone: o.TimeZone})
	if err != nil {
		return nil, fmt.Errorf("of the replica: %w", err)
	}
	probe := config.Copy()
	probe.MaxConns = 1
	if r.probe, err = pgxpool.NewWithConfig(ctx, probe); err != nil {
		return nil, fmt.Errorf("open pool of the replica: %w", err)
	}
	r.choose(config)
	if r.Pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		r.probe.Close()
		return nil, fmt.Errorf("open pool of the replica: %w", err)
	}
	return r, nil
}

// choose has each connection of a pool of the replica's lead to the server that is to be read, and be left when that has
// become the other one.
func (r *Reads) choose(config *pgxpool.Config) {
	primary := r.o.Primary.Config()
	prepare := config.AfterConnect
	label(config.ConnConfig, toReplica)
	label(primary.ConnConfig, toPrimary)
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		if r.State().From == toPrimary {
			*c = *primary.ConnConfig.Copy()
		}
		return nil
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if leads(conn) == toReplica {
			return prepare(ctx, conn)
		}
		if primary.AfterConnect == nil {
			return nil
		}
		return primary.AfterConnect(ctx, conn)
	}
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		to := leads(conn)
		if to != r.State().From {
			return false, nil
		}
		if to == toPrimary && primary.PrepareConn != nil {
			return primary.PrepareConn(ctx, conn)
		}
		return true, nil
	}
}

// label has the connections of a server remember which one it is.
func label(config *pgx.ConnConfig, to string) {
	before := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		conn.CustomData()[leadsTo] = to
		if before == nil {
			return nil
		}
		return before(ctx, conn)
	}
}

func leads(conn *pgx.Conn) string {
	to, _ := conn.PgConn().CustomData()[leadsTo].(string)
	return to
}

// Configured tells whether there is a replica to read.
func (r *Reads) Configured() bool { return r.probe != nil }

// Close ends the pool, unless it is the primary's.
func (r *Reads) Close() {
	if r.probe != nil {
		r.Pool.Close()
		r.probe.Close()
	}
}

// State is where reads go at the moment. A look that is overdue speaks for the replica no longer.
func (r *Reads) State() ReadState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.From == toReplica && time.Since(r.looked) > replicaStale {
		return ReadState{From: toPrimary, ReplayedAt: r.state.ReplayedAt, Problem: "it has not answered for a while"}
	}
	return r.state
}

// Run looks at the replica every other second until ctx ends; it returns at once where there is none.
func (r *Reads) Run(ctx context.Context) {
	if r.probe == nil {
		return
	}
	ticker := time.NewTicker(replicaEvery)
	defer ticker.Stop()
	for {
		r.Look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Look compares the replica with the primary, and decides which of the two is read from now on. What it finds is logged when
// it changes.
func (r *Reads) Look(ctx context.Context) ReadState {
	if r.probe == nil {
		return r.State()
	}
	r.looking.Lock()
	defer r.looking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, replicaLook)
	defer cancel()
	state := r.compare(ctx)
	r.mu.Lock()
	was := r.state
	r.state, r.looked = state, time.Now()
	r.mu.Unlock()
	r.tell(ctx, was, state)
	return state
}

func (r *Reads) tell(ctx context.Context, was, is ReadState) {
	if was.From == is.From && was.Problem != notLooked || ctx.Err() == context.Canceled {
		return
	}
	if is.From == toReplica {
		r.o.Logger.Info("pages, status and metrics are read from the replica")
		return
	}
	r.o.Logger.Warn("the replica is not read: pages, status and metrics come from the primary", "problem", is.Problem)
}

// compare asks the primary first: a replica that has got as far as the primary was then, has everything of that moment.
func (r *Reads) compare(ctx context.Context) ReadState {
	state := ReadState{From: toPrimary}
	primary, err := look(ctx, r.o.Primary)
	if err != nil {
		r.places = nil
		state.Problem = "it cannot be compared with the primary: " + Describe(err)
		return state
	}
	replica, err := r.awaitReplica(ctx, primary)
	if err != nil {
		state.Problem = Describe(err)
		return state
	}
	state.ReplayedAt = replica.ReplayedAt
	before := r.before
	r.before = replica.LSN
	if state.Problem = primary.misfit(replica, before); state.Problem != "" {
		r.places = nil
		return state
	}
	r.remember(primary)
	if state.Lag = r.lag(primary, replica); state.Lag == nil {
		state.Problem = "nobody knows how far it is behind"
		return state
	}
	if *state.Lag > r.o.MaxLag {
		state.Problem = fmt.Sprintf("it is %s behind, more than %s", state.Lag.Round(100*time.Millisecond), r.o.MaxLag)
		return state
	}
	state.From = toReplica
	return state
}

// awaitReplica gives the replica a moment to get as far as the primary was: of one that is further behind, its newest
// transaction is all that is known, and that may be long ago because nothing has happened since.
func (r *Reads) awaitReplica(ctx context.Context, primary server) (server, error) {
	for try := 1; ; try++ {
		replica, err := look(ctx, r.probe)
		if err != nil || replica.LSN >= primary.LSN || try == replicaTries {
			return replica, err
		}
		select {
		case <-time.After(replicaPause):
		case <-ctx.Done():
			return replica, nil
		}
	}
}

// remember keeps the newest places.
func (r *Reads) remember(primary server) {
	if len(r.places) == samples {
		r.places = slices.Delete(r.places, 0, 1)
	}
	r.places = append(r.places, place{at: primary.Now, lsn: primary.LSN})
}

// lag is by how much a replica is behind at most: since the primary was asked, whose log of that moment it has, since the
// primary was where the replica is now, or since the newest transaction that it has. Nil: it tells none of them.
func (r *Reads) lag(primary, replica server) *time.Duration {
	if replica.LSN >= primary.LSN {
		return new(time.Since(primary.Asked) + primary.Error)
	}
	var since *time.Time
	for _, p := range r.places {
		if p.lsn <= replica.LSN {
			since = &p.at
		}
	}
	if at := replica.ReplayedAt; at != nil && (since == nil || at.After(*since)) {
		since = at
	}
	if since == nil {
		return nil
	}
	return new(max(primary.Now.Sub(*since), 0))
}

// server is what a server says of itself.
type server struct {
	System     string     // of its cluster
	Database   string     // that is asked
	Recovering bool       // it is a replica
	LSN        int64      // how far it has written its log, or replayed the primary's; -1: not known
	ReplayedAt *time.Time // when the newest transaction was committed that it has replayed
	Started    time.Time
	Now        time.Time // by its clock

	Asked time.Time     `db:"-"` // by this process's clock, in the middle of the answer's time
	Error time.Duration `db:"-"` // by how much Asked may be wrong
}

func look(ctx context.Context, db DB) (server, error) {
	begun := time.Now()
	rows, _ := db.Query(ctx, `
		select c.system_identifier::text as system, current_database()::text as database, r.recovering,
		       coalesce((case when r.recovering then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end - '0/0')::bigint, -1) as lsn,
		       pg_last_xact_replay_timestamp() as replayed_at, pg_postmaster_start_time() as started, clock_timestamp() as now
		from pg_control_system() c
		cross join (select pg_is_in_recovery() as recovering) r`) // Collect reports its error
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[server])
	if err != nil {
		return s, fmt.Errorf("look at server: %w", err)
	}
	s.Error = time.Since(begun) / 2
	s.Asked = begun.Add(s.Error)
	return s, nil
}

// misfit says why a server must not be read in place of the primary; empty: it may be. before is how far it was when it was
// asked the last time.
func (s server) misfit(replica server, before int64) string {
	switch ahead := replica.Now.Sub(s.Now) - replica.Asked.Sub(s.Asked); {
	case replica.System != s.System:
		return fmt.Sprintf("it belongs to another cluster (system identifier %s, the primary's is %s)", replica.System, s.System)
	case replica.Database != s.Database:
		return fmt.Sprintf("it leads to the database %s, and database.url to %s", replica.Database, s.Database)
	case s.Recovering:
		return "database.url leads to a replica, too"
	case !replica.Recovering && replica.Started.Equal(s.Started):
		return "it leads to the primary itself"
	case !replica.Recovering:
		return "it takes writes by itself, so it does not follow the primary"
	case replica.LSN < 0:
		return "it does not say how much of the primary's log it has replayed"
	case before > s.LSN:
		return "it was ahead of the primary, so it follows another server"
	case ahead.Abs()-s.Error-replica.Error > replicaApart:
		return fmt.Sprintf("its clock and the primary's are %s apart", ahead.Abs().Round(time.Second))
	}
	return ""
}
