package erasure

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/proof"
	"kvit/store"
)

const auditTrigger = `
	create table public.audit (id bigint generated always as identity primary key, old_row jsonb);
	create function public.keep() returns trigger language plpgsql as $$ begin
	    insert into public.audit (old_row) values (to_jsonb(old)); return null; end $$;
	create trigger keep after update on public.orders for each row when (old.email <> new.email) execute function public.keep()`

// allCertificates verifies the certificates and returns them.
func (s *shop) allCertificates() []proof.Certificate {
	s.t.Helper()
	var chain proof.Chain
	var list []proof.Certificate
	require.NoError(s.t, store.EachCertificate(s.t.Context(), s.db, func(c store.Certificate) error {
		list = append(list, proof.Certificate(c))
		return chain.Verify(proof.Certificate(c))
	}))
	return list
}

// A run that leaves a copy behind says so in the log, in its report, in kvit.erasure_residue and in the chain, and
// nowhere says what the copy holds. When the copy is gone, a later run says that.
func TestRunFindsACopy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var log bytes.Buffer
	s.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	s.Residue = Residue{Orders: 3, Time: time.Minute}
	s.buy("E1", 40*day)
	s.exec(auditTrigger)
	report, err := s.Run(t.Context())
	require.NoError(t, err, "the erasure itself has gone well")
	require.Equal(t, []string{"public.audit.old_row"}, placesOf(report.Residue.Found))
	require.Contains(t, log.String(), `"level":"ERROR","msg":"values of erased orders are left","table":"public.audit","column":"old_row","rows":1,"orders":1`)

	certificates := s.allCertificates()
	require.Len(t, certificates, 2)
	require.Equal(t, "E1", certificates[1].OrderRef)
	require.True(t, certificates[1].IsSupplement())
	require.Equal(t, map[string]int64{"public.audit.old_row": 1}, certificates[1].Found)
	require.Equal(t, int64(report.Residue.Searched), certificates[1].Searched[proof.Places])
	open, err := store.OpenResidues(t.Context(), s.db)
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, []string{"1"}, open[0].RowKeys)
	kept := value[string](s, `select string_agg(r::text, '') from kvit.erasure_residue r`) +
		value[string](s, `select string_agg(c::text, '') from kvit.erasure_certificate c`) + value[string](s, `select coalesce(string_agg(e::text, ''), '') from kvit.erasure_run e`)
	for _, secret := range []string{"abelsg", "Allé", "33 44"} {
		require.NotContains(t, strings.ToLower(kept+log.String()), strings.ToLower(secret))
	}

	_, err = s.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, s.allCertificates(), 2, "it is still there, and nothing new was erased")
	s.exec(`delete from public.audit`)
	_, err = s.Run(t.Context())
	require.NoError(t, err)
	certificates = s.allCertificates()
	require.Len(t, certificates, 3)
	require.Equal(t, map[string]int64{"public.audit.old_row": 0}, certificates[2].Found)
	open, err = store.OpenResidues(t.Context(), s.db)
	require.NoError(t, err)
	require.Empty(t, open)
}

// A second order's copy in the same place belongs to the same finding.
func TestRunFindsMoreOfTheSame(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Residue = Residue{Orders: 3, Time: time.Minute}
	s.exec(auditTrigger)
	for _, ref := range []string{"E1", "E2"} {
		s.buy(ref, 40*day)
		_, err := s.Run(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, []string{"E1", "E2"}, value[[]string](s, `select order_refs from kvit.erasure_residue`))
	require.Equal(t, []string{"2", "4"}, value[[]string](s, `select row_keys from kvit.erasure_residue`))
}

// Of a log without a key, and of values that were overwritten, kvit cannot tell whether they are gone.
func TestClearResidue(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Residue = Residue{Orders: 1, Time: time.Minute}
	s.buy("E1", 40*day)
	s.exec(`create table public.log (line text); insert into public.log select email from public.orders`)
	_, err := s.Run(t.Context())
	require.NoError(t, err)
	s.exec(`update public.log set line = 'erased'`)
	_, err = s.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), value[int64](s, `select count(*) from kvit.erasure_residue where gone_at is null`))
	require.ErrorIs(t, s.ClearResidue(t.Context(), "public.log.other", "anna"), store.ErrNotFound)
	require.NoError(t, s.ClearResidue(t.Context(), "public.log.line", "anna"))
	require.Equal(t, "anna", value[string](s, `select gone_by from kvit.erasure_residue`))
	require.Equal(t, map[string]int64{"public.log.line": 0}, s.allCertificates()[2].Found)
}

// What nobody had time for is said.
func TestRunWithoutTime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Residue = Residue{Orders: 1, Time: time.Nanosecond}
	s.buy("E1", 40*day)
	report, err := s.Run(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Residue.Found)
	require.Contains(t, report.Residue.Unsearched, store.Unsearched{Table: "public.payments", Reason: store.TimeOver})
	require.Len(t, s.allCertificates(), 1, "the certificate says nothing of a search")
}

// A supplement is no order to erase again.
func TestReplayPassesOverSupplements(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Residue = Residue{Orders: 1, Time: time.Minute}
	s.buy("E1", 40*day)
	s.exec(auditTrigger)
	_, err := s.Run(t.Context())
	require.NoError(t, err)
	certificates := s.allCertificates()
	require.Len(t, certificates, 2)
	s.exec(`update public.orders set personal_data_erased_at = null, erp_imported_at = null, erp_order_number = null where order_number = 'E1'`)
	report, err := s.Replay(t.Context(), func(do func(proof.Certificate) error) error {
		for _, c := range certificates {
			if err := do(c); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, report.Orders)
	require.Equal(t, "SO-E1", value[string](s, `select erp_order_number from public.orders where order_number = 'E1'`))
}
