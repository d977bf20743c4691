package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// What a pause does to deliveries, jobs.TestPauseHoldsInAllProcessesUntilResumed shows.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
destinations:
  crm: {kind: webhook, url: "https://hooks.example/kvit", secret: "${CRM_SECRET}", deduplicates: true}
`)
	k.mustCall("migrate", "up")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"pause", "crm"}, 2, "--reason must be given"},
		{[]string{"pause", "nowhere", "--reason", "x"}, 2, `no destination is called "nowhere"`},
		{[]string{"resume", "crm"}, 1, "it is not paused"},
	} {
		code, _, stderr := k.call(c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, stderr)
		require.Contains(t, stderr, c.says)
	}
	require.Contains(t, k.mustCall("pause", "crm", "--reason", "the receiver moves", "--operator", "anna"), "crm is paused")
	code, _, stderr := k.call("pause", "crm", "--reason", "again")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "it is paused already")
	status := k.mustCall("status")
	require.Regexp(t, `crm +webhook +PAUSED`, status)
	require.Contains(t, status, "by anna: the receiver moves: kvit resume crm")
	require.Contains(t, k.mustCall("status", "--json"), `"paused_by": "anna"`)
	k.mustCall("migrate", "up")
	require.Contains(t, k.mustCall("resume", "crm", "--reason", "moved"), "crm works again")
	require.NotContains(t, k.mustCall("status"), "PAUSED")
}
