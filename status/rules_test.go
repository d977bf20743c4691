package status_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/status"
)

var update = flag.Bool("update", false, "write deploy/prometheus/rules.yaml")

const (
	rulesFile   = "../deploy/prometheus/rules.yaml"
	boardFile   = "../deploy/grafana/kvit.json"
	manualFile  = "../" + status.Manual
	nameOfAlarm = `^Kvit[A-Za-z]+$`
)

// TestRules keeps Prometheus's rules those of the list.
func TestRules(t *testing.T) {
	t.Parallel()
	if *update {
		require.NoError(t, os.WriteFile(rulesFile, []byte(status.Rules()), 0o600))
	}
	require.Equal(t, status.Rules(), read(t, rulesFile), "go generate ./status")
}

// TestManual: each alarm has a section, and the section says nothing else than the list of what to do first.
func TestManual(t *testing.T) {
	t.Parallel()
	manual := read(t, manualFile)
	for _, k := range status.Kinds {
		require.Regexp(t, nameOfAlarm, k.Name)
		require.Contains(t, manual, "\n#### "+k.Name+"\n", "the section that %s leads to", k.Anchor())
		require.NotEmpty(t, k.Means)
		require.NotEmpty(t, k.Do)
		require.NotEmpty(t, k.Expr)
	}
}

var (
	metricInDocs = regexp.MustCompile("(?m)^\\| `(kvit_[a-z_]+)")
	metricUsed   = regexp.MustCompile(`\bkvit_[a-z_]+`)
)

// TestMetricsExist: rules and dashboard ask for nothing that kvit does not measure.
func TestMetricsExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, m := range metricInDocs.FindAllStringSubmatch(read(t, manualFile), -1) {
		known[m[1]] = true
	}
	for _, file := range []string{rulesFile, boardFile} {
		used := metricUsed.FindAllString(read(t, file), -1)
		require.NotEmpty(t, used, file)
		for _, metric := range used {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				metric = strings.TrimSuffix(metric, part)
			}
			require.True(t, known[metric], "%s asks for %s", file, metric)
		}
	}
}

// TestNothingIsKnown: a status that was not read is not well.
func TestNothingIsKnown(t *testing.T) {
	t.Parallel()
	list := status.Alarms(status.Status{})
	require.Len(t, list, 1)
	require.Equal(t, "KvitStatusUnreadable", list[0].Name)
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(data)
}
