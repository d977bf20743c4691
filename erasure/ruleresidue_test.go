package erasure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/proof"
	"kvit/store"
)

// cartOfTheodora is due, and others are there to compare with.
func (s *shop) cartOfTheodora() {
	s.t.Helper()
	s.cart(1, 20*day)
	s.exec(`update public.carts set email = $1 where id = 1`, theodora.email)
	s.exec(`insert into public.carts select n, 'somebody-' || n || '@example.com', now() from generate_series(2, 9) n`)
}

// Copies of what a rule of retention.tables erases are looked for as those of orders are: on trial, and after a run.
func TestCopiesOfRowsOfRules(t *testing.T) {
	t.Parallel()
	for name, orders := range map[string]bool{"BesideOrders": true, "WithoutAShop": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCarts(t)
			s.Residue = Residue{Orders: 3, Time: time.Minute}
			s.cartOfTheodora()
			if !orders {
				s.Orders, s.Policy.Tables = nil, nil
			}
			s.exec(`create table public.mails (line text); insert into public.mails select email from public.carts`)
			report, err := s.Scan(t.Context(), ScanOptions{Orders: 9, Time: time.Minute})
			require.NoError(t, err)
			require.Equal(t, []string{"public.mails.line"}, placesOf(report.Found))
			require.Equal(t, 9, report.Rows)
			require.Len(t, s.carts(), 9, "it is rolled back")

			done, err := s.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, []string{"public.mails.line"}, placesOf(done.Residue.Found))
			certificates := s.allCertificates()
			require.Len(t, certificates, 2)
			require.Equal(t, []string{"table:abandoned", "table:abandoned"}, []string{certificates[0].OrderRef, certificates[1].OrderRef})
			require.Equal(t, map[string]int64{"public.mails.line": 1}, certificates[1].Found)
		})
	}
}

// A search that finds nothing leaves its word, so that a certificate says how much was looked at.
func TestACleanSearchIsCertified(t *testing.T) {
	t.Parallel()
	s := newCarts(t)
	s.Residue = Residue{Orders: 3, Time: time.Minute}
	s.cartOfTheodora()
	s.buy("E1", 40*day)
	s.exec(`insert into public.carts values (20, $1, now())`, theodora.email)
	s.as("revoke all on public.customers from %[1]s; grant select (id) on public.customers to %[1]s")
	s.exec(`delete from public.customers`)
	s.Policy.Tables = s.Policy.Tables[:3]
	report, err := s.Run(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Residue.Found)
	certificates := s.allCertificates()
	require.Len(t, certificates, 4)
	for i, ref := range []string{"E1", "table:abandoned"} {
		c := certificates[2+i]
		require.Equal(t, []string{ref, proof.ClockResidue}, []string{c.OrderRef, c.Clock})
		require.Nil(t, c.Found)
		require.Equal(t, int64(report.Residue.Searched), c.Searched[proof.Places])
		require.Positive(t, c.Searched[proof.Values])
		require.Equal(t, map[string]string{"public.customers": store.NoRight}, c.Unsearched)
	}
	require.False(t, report.Residue.Complete)
	open, err := store.OpenResidues(t.Context(), s.db)
	require.NoError(t, err)
	require.Empty(t, open)
}

// A request of a person looks for copies, too: by the address that it names, and by what the person's rows held.
func TestCopiesOfAPerson(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Residue = Residue{Orders: 3, Time: time.Minute}
	s.Orders.Email = "email"
	s.order("E1", day)
	s.exec(`update public.orders set email = $1, customer_name = $2 where order_number = 'E1'`, theodora.email, theodora.name)
	s.exec(`create table public.mails (rcpt text, line text); insert into public.mails select email, 'Dear ' || customer_name from public.orders where order_number = 'E1'`)
	s.order("E2", day)
	ask := SubjectRequest{Subject: store.Subject{Email: theodora.email}, Reference: "T-1", By: "anna"}
	for _, erase := range []func() (SubjectReport, error){
		func() (SubjectReport, error) { return s.DryEraseSubject(t.Context(), ask) },
		func() (SubjectReport, error) { return s.EraseSubject(t.Context(), ask) },
	} {
		report, err := erase()
		require.ErrorIs(t, err, ErrRefused, "a copy is left")
		require.ElementsMatch(t, []string{"public.mails.rcpt", "public.mails.line"}, placesOf(report.Copies.Found))
	}
	certificates := s.allCertificates()
	require.Len(t, certificates, 3)
	require.Equal(t, map[string]int64{"public.mails.rcpt": 1, "public.mails.line": 1}, certificates[1].Found)
	require.Equal(t, "request:T-1", certificates[2].OrderRef)
	require.Equal(t, map[string]int64{"public.mails.rcpt": 1}, certificates[2].Found)

	s.exec(`truncate public.mails`)
	report, err := s.EraseSubject(t.Context(), ask)
	require.NoError(t, err)
	require.Empty(t, report.Copies.Found)
	require.Positive(t, report.Copies.Searched, "the address alone is looked for, although nothing is left")
	require.Len(t, s.allCertificates(), 3, "none of a request that has erased nothing")
}
