package erasure

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/proof"
	"kvit/store"
)

// backedUp are the tables that a backup of the tests holds.
var backedUp = []string{
	"public.customers", "public.orders", "public.order_lines", "public.payments",
	"kvit.event", "kvit.erasure_certificate", "kvit.erasure_progress", "kvit.order_mark", "kvit.legal_hold", "kvit.delivery", "kvit.river_job",
}

func (s *shop) backUp() {
	s.t.Helper()
	s.exec(`drop schema if exists backup cascade`)
	s.exec(`create schema backup`)
	for _, table := range backedUp {
		s.exec(`create table backup."` + table + `" as table ` + table)
	}
}

// restore brings back what there was, the chain included.
func (s *shop) restore() {
	s.t.Helper()
	sql := []string{`set local session_replication_role = replica`}
	for _, table := range backedUp {
		columns := value[string](s, `
			select string_agg(quote_ident(attname), ', ') from pg_attribute
			where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = ''`, table)
		sql = append(sql, `delete from `+table, `insert into `+table+` (`+columns+`) overriding system value select `+columns+` from backup."`+table+`"`)
	}
	s.exec(strings.Join(sql, ";"))
	s.exec(`drop schema backup cascade`)
}

func (s *shop) exported() []proof.Certificate {
	s.t.Helper()
	var list []proof.Certificate
	require.NoError(s.t, store.EachCertificate(s.t.Context(), s.db, func(c store.Certificate) error {
		list = append(list, proof.Certificate(c))
		return nil
	}))
	return list
}

func exportOf(list []proof.Certificate) Export {
	return func(do func(proof.Certificate) error) error {
		for _, c := range list {
			if err := do(c); err != nil {
				return err
			}
		}
		return nil
	}
}

// restored is a shop whose backup was made when one of four orders was erased; its export knows of all,
// and of a person's request.
func restored(t *testing.T) (*shop, []proof.Certificate) {
	t.Helper()
	s := newShop(t)
	return s, s.restored()
}

func (s *shop) restored() []proof.Certificate {
	s.t.Helper()
	t := s.t
	s.order("E1", 50*day)
	s.run()
	for _, ref := range []string{"E2", "E3", "E4"} {
		s.unimported(ref)
	}
	s.order("living", day)
	s.backUp()
	s.imported(31*day, `order_number in ('E2', 'E3', 'E4')`)
	require.Equal(t, 3, s.run().Orders)
	var chain proof.Chain
	export := s.exported()
	chain.Number, chain.Hash = export[3].Number, export[3].Hash
	export = append(export, chain.Seal(proof.Certificate{OrderRef: "request:T-7", Clock: "request", ErasedAt: time.Now().UTC().Truncate(time.Microsecond), RowCounts: map[string]int64{}}))
	s.restore()
	for _, ref := range []string{"E2", "E3", "E4"} {
		require.True(t, s.untouched(ref), ref)
	}
	s.requireChain(1)
	return export
}

func TestReplayErasesWhatABackupBroughtBack(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		export := s.restored()
		s.exec(`delete from public.order_lines where order_id = (select id from public.orders where order_number = 'E4')`)
		s.exec(`delete from public.orders where order_number = 'E4'`) // which the backup may not have at all
		before := s.dump()

		dry, err := s.DryReplay(t.Context(), exportOf(export))
		require.NoError(t, err)
		require.Equal(t, before, s.dump())

		report, err := s.Replay(t.Context(), exportOf(export))
		require.NoError(t, err)
		dry.DryRun, dry.Columns = false, nil
		require.Equal(t, report, dry)

		require.Equal(t, 2, report.Orders)
		require.Equal(t, Replayed{
			Certificates: 5, Appended: 4, Requests: []ReplayedRequest{{Reference: "T-7", ErasedAt: export[4].ErasedAt}},
		}, *report.Replay)
		require.True(t, s.erased("E2"))
		require.True(t, s.erased("E3"))
		require.True(t, s.untouched("living"))
		require.Equal(t, "SO-E2", value[string](s, `select `+s.mark("erp_number")+` from public.orders o where order_number = 'E2'`))
		require.True(t, export[1].ERPImportedAt.Equal(*s.exported()[5].ERPImportedAt), "the evidence of then")
		s.requireChain(7)
		require.Equal(t, export, s.exported()[:5])
		require.Equal(t, []string{"replay", "replay"}, []string{s.exported()[5].Clock, s.exported()[6].Clock})

		again, err := s.Replay(t.Context(), exportOf(export))
		require.NoError(t, err)
		require.Zero(t, again.Orders)
		require.Zero(t, again.Replay.Appended)
		require.False(t, again.Replay.Forked)
		require.Len(t, again.Replay.Requests, 1, "nothing tells whether the backup had it")
		s.requireChain(7)

		longer := s.exported()
		chain := proof.Chain{Number: 7, Hash: longer[6].Hash}
		longer = append(longer, chain.Seal(proof.Certificate{OrderRef: "request:T-8", Clock: "request", ErasedAt: export[4].ErasedAt, RowCounts: map[string]int64{}}))
		again, err = s.Replay(t.Context(), exportOf(longer))
		require.NoError(t, err)
		require.Equal(t, []ReplayedRequest{{Reference: "T-8", ErasedAt: export[4].ErasedAt}}, again.Replay.Requests, "the backup had the other")
	})
}

// A shop's table that is restored by itself leaves the chain whole.
func TestReplayOfATableThatWasRestored(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		export := s.restored()
		_, err := s.Replay(t.Context(), exportOf(export))
		require.NoError(t, err)
		if !s.Orders.OwnMarks() {
			s.exec(`update public.orders set personal_data_erased_at = null where order_number = 'E1'`)
		}
		s.exec(`update public.orders set customer_name = $1, email = $1 where order_number = 'E1'`, marker)
		report, err := s.Replay(t.Context(), exportOf(export))
		require.NoError(t, err)
		require.Equal(t, 1, report.Orders)
		require.NotContains(t, value[string](s, `select o::text from public.orders o where order_number = 'E1'`), marker)
	})
}

// After a restore, somebody let kvit erase: the chains part, and neither is thrown away.
func TestReplayOfAChainThatParted(t *testing.T) {
	t.Parallel()
	s, export := restored(t)
	s.order("E5", 31*day)
	s.run()
	own := s.exported()
	report, err := s.Replay(t.Context(), exportOf(export))
	require.NoError(t, err)
	require.Equal(t, Replayed{
		Certificates: 5, Forked: true, Requests: []ReplayedRequest{{Reference: "T-7", ErasedAt: export[4].ErasedAt}},
	}, *report.Replay)
	require.Equal(t, 3, report.Orders)
	require.Equal(t, own, s.exported()[:2])
	s.requireChain(5)

	report, err = s.Replay(t.Context(), exportOf(export[:3]))
	require.NoError(t, err)
	require.True(t, report.Replay.Forked, "of a shorter export, too")
}

func TestReplayLeavesHeldOrders(t *testing.T) {
	t.Parallel()
	s, export := restored(t)
	s.exec(`insert into kvit.legal_hold (order_ref, reason, placed_by) values ('E3', 'audit', 'ops'), ('E1', 'too late', 'ops')`)
	report, err := s.Replay(t.Context(), exportOf(export))
	require.NoError(t, err)
	require.Equal(t, 2, report.Orders)
	require.Equal(t, 1, report.Held)
	require.Equal(t, []store.HeldOrder{{OrderRef: "E3", Reason: "audit"}}, report.Holds)
	require.True(t, value[bool](s, `select personal_data_erased_at is null and customer_name = $1 from public.orders where order_number = 'E3'`, marker))
}

func TestReplayIsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	s, export := restored(t)
	s.exec(`alter table public.orders add constraint stays check (order_number <> 'E3' or customer_name is not null)`)
	before := s.dump()
	report, err := s.Replay(t.Context(), exportOf(export))
	require.ErrorIs(t, err, ErrNotReplayed)
	require.Equal(t, []string{"E3"}, []string{report.Problems[0].OrderRef})
	require.Equal(t, before, s.dump())

	broken := slices.Clone(export)
	broken[2].OrderRef = "E9"
	_, err = s.Replay(t.Context(), exportOf(broken))
	var found *proof.BrokenError
	require.ErrorAs(t, err, &found)
	require.EqualValues(t, 3, found.Number)
	require.Equal(t, before, s.dump())

	s.exec(`alter table public.orders rename column personal_data_erased_at to elsewhere`)
	_, err = s.Replay(t.Context(), exportOf(export))
	require.Error(t, err)
	s.requireChain(1)
}
