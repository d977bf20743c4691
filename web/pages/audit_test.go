package pages

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
)

// Everybody who may read sees who did what and why, on the page and in a file.
func TestAudit(t *testing.T) {
	t.Parallel()
	site, server := testSite(t)
	require.NoError(t, store.Audit(t.Context(), site.Pool, store.AuditEntry{Who: "anna", Action: "pause", Subject: "crm", Reason: "=1+1"}))
	client := loggedIn(t, server, "reader")
	status, body, _ := get(t, client, server, "/audit")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "<td>anna</td><td>pause</td><td>crm</td><td>=1&#43;1</td>")
	lines := readCSV(t, page(t, client, server, "/audit.csv"))
	require.Equal(t, []string{"at", "who", "action", "subject", "reason"}, lines[0])
	require.Equal(t, []string{"reader", "login", "", ""}, lines[1][1:], "the newest first")
	require.Equal(t, []string{"anna", "pause", "crm", "'=1+1"}, lines[2][1:], "and no formula")
}
