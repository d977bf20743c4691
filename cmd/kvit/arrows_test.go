package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// module begins the import path of every room.
const module = "kvit/"

// arrows say which rooms a room may import; "*" stands for one part of a path. The room itself has to
// be listed, so that a new one is a decision.
var arrows = map[string][]string{
	"bench":          {"cmd/*", "config", "destination", "destination/*", "destination/*/*", "jobs", "migrations", "store", "store/*"},
	"cmd/kvit":       {"cmd/kvit/demo", "config", "delivery", "destination", "destination/*", "erp", "erp/*", "erasure", "erasure/*", "jobs", "migrations", "notify", "schedule", "shop", "shop/*", "status", "store", "traces", "watch", "web", "web/*"},
	"cmd/kvit/demo":  {"config", "destination/*/*", "erp/*/*", "store/localpg"},
	"config":         {},
	"delivery":       {"config", "destination", "group", "store"}, // config for a duration in a reason
	"destination":    {"config"},
	"destination/*":  {"config", "destination"},
	"erasure":        {"config", "destination", "erasure/*", "store", "watch"},
	"erasure/policy": {"erasure/proof", "store"},
	"erasure/proof":  {},
	"erp":            {"config", "destination"}, // destination for its HTTP client
	"erp/*":          {"config", "destination", "erp"},
	"group":          {"store"},
	"erp/watcher":    {"erp", "store"},
	"jobs":           {"delivery", "erasure", "erasure/proof", "erp", "erp/watcher", "group", "store", "watch"},
	"notify":         {"config", "destination", "status", "store"},
	"migrations":     {},
	"schedule":       {},
	"shop":           {},
	"shop/*":         {"shop"},
	"status":         {"erasure", "erasure/policy", "store", "watch"},
	"store":          {},
	"traces":         {},
	"store/localpg":  {},
	"watch":          {"store"},
	"web":            {"erp", "jobs", "store"},
	"web/access":     {"store"},
	"web/pages":      {"config", "delivery", "destination", "erasure", "erasure/*", "erp", "erp/watcher", "jobs", "schedule", "status", "store", "watch", "web/access"},

	// Stand-ins of providers, for tests and the demo, and what they have in common.
	"destination/*/*":                     {"destination/destinationtest/standin"},
	"destination/destinationtest/standin": {},
	// For tests alone.
	"config/configtest":           {"config"},
	"destination/destinationtest": {"destination"},
	"erp/erptest":                 {"erp"},
	"erp/*/*":                     {"erp", "erp/erptest"},
	"shops":                       {"store/storetest"},
	"store/storetest":             {"migrations", "store/localpg"},
}

// testOnly are the rooms that nothing but tests, and each other, may import; demo may take stand-ins.
var testOnly = []string{"shops", "config/configtest", "store/storetest", "destination/destinationtest", "erp/erptest", "destination/*/*", "erp/*/*"}

type goPackage struct {
	ImportPath string
	GoFiles    []string
	Imports    []string
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, p := range ownPackages(t) {
		room := strings.TrimPrefix(p.ImportPath, module)
		if len(p.GoFiles) == 0 {
			continue // tests alone
		}
		allowed, listed := allowedFrom(room)
		require.True(t, listed, "room %s is new: say in this test what it may import", room)
		for _, imported := range p.Imports {
			other, own := strings.CutPrefix(imported, module)
			if own {
				require.True(t, matches(allowed, other), "%s must not import %s", room, other)
			}
		}
	}
}

// TestStandIns keeps what is made for tests out of the rooms that run in a shop.
func TestStandIns(t *testing.T) {
	t.Parallel()
	for _, p := range ownPackages(t) {
		room := strings.TrimPrefix(p.ImportPath, module)
		if room == "cmd/kvit/demo" || room == "bench" || matches(testOnly, room) {
			continue
		}
		for _, imported := range p.Imports {
			other, own := strings.CutPrefix(imported, module)
			require.False(t, own && matches(testOnly, other), "%s must not import %s, which is for tests", room, other)
			require.NotEqual(t, "testing", imported, "%s must not import testing", room)
		}
	}
}

// TestArrowsSeeMistakes makes sure that the rules above refuse something.
func TestArrowsSeeMistakes(t *testing.T) {
	t.Parallel()
	for room, other := range map[string]string{
		"store":              "jobs",
		"delivery":           "destination/spread",
		"jobs":               "destination/spread",
		"web":                "config",
		"destination/spread": "destination/webhook",
		"config":             "destination",
		"destination":        "store",
		"erasure":            "destination/webhook",
		"erasure/proof":      "store",
	} {
		allowed, listed := allowedFrom(room)
		require.True(t, listed, room)
		require.False(t, matches(allowed, other), "%s -> %s", room, other)
	}
	_, listed := allowedFrom("util")
	require.False(t, listed)
}

// allowedFrom prefers the room's own line to a pattern.
func allowedFrom(room string) (allowed []string, listed bool) {
	if allowed, listed = arrows[room]; listed {
		return allowed, true
	}
	for pattern, allowed := range arrows {
		if matches([]string{pattern}, room) {
			return allowed, true
		}
	}
	return nil, false
}

func matches(patterns []string, room string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, room)
		return ok && err == nil
	})
}

// ownPackages are the rooms, tests not counted.
func ownPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,GoFiles,Imports", "./...")
	cmd.Dir = "../.."
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var list []goPackage
	decoder := json.NewDecoder(output)
	for {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		list = append(list, p)
	}
	require.NoError(t, cmd.Wait())
	require.NotEmpty(t, list)
	return list
}
