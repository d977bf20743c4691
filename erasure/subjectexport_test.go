package erasure

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/store"
)

// An export has the person's rows and nobody else's, and says what was not searched.
func TestExportSubject(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.janes("E1", "E2")
	s.order("E3", day)
	s.reads(jane)
	s.visits("page_viewed:1", nil)
	s.Carts = []policy.Carts{{Name: "abandoned", Table: "public.carts"}}
	s.exec(`alter table public.payments add column iban text`)

	export, err := s.ExportSubject(t.Context(), store.Subject{Email: jane}, s.Orders)
	require.NoError(t, err)
	var text bytes.Buffer
	found, err := export.Write(t.Context(), s.db, &text)
	require.NoError(t, err)
	var got struct {
		About  map[string]string
		Orders []struct {
			OrderRef string `json:"order_ref"`
		}
		Tables map[string][]map[string]any
		Events []map[string]any
		Notes  []string
	}
	require.NoError(t, json.Unmarshal(text.Bytes(), &got))
	require.Equal(t, map[string]string{"email": jane}, got.About)
	require.Len(t, got.Orders, 2)
	require.Len(t, got.Tables["public.newsletter"], 1)
	require.Len(t, got.Events, 3, "those of the orders, and one without")
	require.NotContains(t, text.String(), "E3")
	rows := 0
	for _, table := range got.Tables {
		rows += len(table)
	}
	require.Equal(t, SubjectSummary{orders: 2, rows: rows, events: 3}, found)
	require.Contains(t, got.Notes, "retention.carts: nothing ties table public.carts to a person, so that it was not searched")
	require.Contains(t, text.String(), "retention.policy: ", "iban is in no policy")
}

func TestExportSubjectWithoutAColumnToSearch(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, err := s.ExportSubject(t.Context(), store.Subject{Email: jane}, s.Orders)
	require.ErrorIs(t, err, store.ErrNotSearchable)

	export, err := s.ExportSubject(t.Context(), store.Subject{Email: jane}, nil)
	require.NoError(t, err)
	var text bytes.Buffer
	found, err := export.Write(t.Context(), s.db, &text)
	require.NoError(t, err)
	require.Equal(t, "nothing found", found.String())
	require.Contains(t, text.String(), "no shop is configured: only events were searched")
}
