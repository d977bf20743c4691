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
	s.Tables = []policy.TableRule{{Name: "abandoned", Table: "public.carts"}}
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

		NotSearched []Unsearched `json:"not_searched"`
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
	want := []Unsearched{
		{Table: "public.carts", Reason: "nothing ties it to a person; its rows go by retention.tables.abandoned"},
		{Table: "public.customers", Reason: "rows without an order are found by --customer-id alone, which was not given"},
	}
	require.Equal(t, SubjectSummary{orders: 2, rows: rows, events: 3, unsearched: want}, found)
	require.False(t, found.Incomplete())
	require.Equal(t, want, got.NotSearched)
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

// A table that does not fit is noted; orders, events and the other tables are there all the same.
func TestExportSubjectWithATableThatDoesNotFit(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.janes("E1")
	s.reads(jane)
	s.exec(`alter table public.newsletter_clicks rename column newsletter_id to letter`)

	export, err := s.ExportSubject(t.Context(), store.Subject{Email: jane}, s.Orders)
	require.NoError(t, err)
	var text bytes.Buffer
	found, err := export.Write(t.Context(), s.db, &text)
	require.NoError(t, err)
	require.True(t, found.Incomplete())
	require.Contains(t, found.String(), "1 orders, 4 rows of other tables, 1 events\n")
	require.Contains(t, found.String(), "not searched: table public.newsletter_clicks: cannot be searched: database error 42703: column t.newsletter_id does not exist")
	var got struct {
		Tables      map[string][]map[string]any
		NotSearched []Unsearched `json:"not_searched"`
	}
	require.NoError(t, json.Unmarshal(text.Bytes(), &got))
	require.Len(t, got.Tables["public.newsletter"], 1)
	require.Empty(t, got.Tables["public.newsletter_clicks"])
	require.Len(t, got.NotSearched, 2)
}

// What is known by the id alone is not found by an address, and said to be missing.
func TestExportSubjectByHalfOfWhatIsKnown(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	export, err := s.ExportSubject(t.Context(), store.Subject{CustomerID: "7"}, s.Orders)
	require.NoError(t, err)
	var text bytes.Buffer
	found, err := export.Write(t.Context(), s.db, &text)
	require.NoError(t, err)
	require.False(t, found.Incomplete())
	require.Contains(t, found.String(), "not searched: table public.newsletter: rows without an order are found by --email alone, which was not given")
}
