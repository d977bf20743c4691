package erasure

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// graphFeatures are what the shops of one test must have exercised together.
var graphFeatures = strings.Split(`one of several ways|several ways at once|ways of different fates|condition|spared by a condition|two pairs|`+
	`chain of 1|chain of 2|chain of 3|way along a key|fate delete|fate columns|fate keep|JSON in text|without a primary key|`+
	`left: shared|left: shared over two ways|left: shared by a key alone|left: somebody of no order refers to it|swept|`+
	`step delete|step update|rule deletes|rule overwrites|found in audit|found in seen|found in logs|pg_dump|`+
	`key of policy on delete |key of policy on delete restrict|key of policy on delete cascade|key of policy on delete set null|key of policy on delete set default|`+
	`key of kept on delete set null|key of kept on delete set default|key of rule on delete |key of rule on delete cascade|key of rule on delete set null|`+
	`orders table|orders view|orders partitioned|own marks|columns of the shop's`, "|")

// graphTime is how long the test goes on by default, and graphsForAll after how many shops every feature must have
// been exercised.
const (
	graphTime    = 20 * time.Second
	graphsForAll = 200
)

// Whatever refers to whatever, and whatever the policy says of it: nothing of an order that is not due changes, what
// is due goes to the last row, and a copy that is left is told of. $KVIT_TEST_SHOP with $KVIT_TEST_SEED is one shop
// alone; $KVIT_TEST_SOAK, a duration, goes on with more of them.
func TestRandomGraphs(t *testing.T) {
	t.Parallel()
	seed := uint64(1) // always the same shops, so that a change is judged by what it changes; new ones are for a soak
	if os.Getenv("KVIT_TEST_SEED") != "" || os.Getenv("KVIT_TEST_SOAK") != "" {
		seed = seedOf(t)
	}
	db := impatient(t, storetest.DB(t))
	bin := "" // of a bare server: the rows of all tables are looked at all the same
	if program, there := storetest.FindProgram(t, "pg_dump"); there {
		bin = filepath.Dir(program)
	}
	first, shops, soak := 0, 25, time.Duration(0)
	if given := os.Getenv("KVIT_TEST_SHOP"); given != "" {
		var err error
		first, err = strconv.Atoi(given)
		require.NoError(t, err)
		shops = 1
	}
	if given := os.Getenv("KVIT_TEST_SOAK"); given != "" {
		var err error
		soak, err = time.ParseDuration(given)
		require.NoError(t, err)
	}
	started, did := time.Now(), map[string]int{}
	missing := func() []string {
		return slices.DeleteFunc(slices.Clone(graphFeatures), func(f string) bool { return did[f] > 0 })
	}
	n := 0
	for ; n < 1 || n < shops && time.Since(started) < graphTime || time.Since(started) < soak; n++ {
		place := first + n
		random := rand.New(rand.NewPCG(seed, uint64(place)))
		g := randomGraph(random, 1+random.IntN(min(1+n/4, 4)))
		pgDump := ""
		if n%10 == 0 || len(did) > 0 && did["pg_dump"] == 0 {
			pgDump = bin
		}
		tryGraph(t, db, pgDump, g, did, fmt.Sprintf("KVIT_TEST_SEED=%d KVIT_TEST_SHOP=%d", seed, place))
	}
	t.Logf("%d shops in %s, of which %d were refused; %d orders erased", n, time.Since(started).Round(time.Second), did["refused"], did["orders"])
	for _, f := range slices.Sorted(maps.Keys(did)) {
		t.Logf("%6d %s", did[f], f)
	}
	t.Logf("never exercised: %q", missing())
	if n >= graphsForAll {
		require.Empty(t, missing(), "never exercised")
		require.Greater(t, n, 2*did["refused"], "most policies are to be accepted")
	}
}

// impatient is a pool whose statements end in time: one that takes long is a fault, too.
func impatient(t *testing.T, db *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	config := db.Config()
	config.ConnConfig.RuntimeParams["statement_timeout"] = "20s"
	config.ConnConfig.RuntimeParams["jit"] = "off" // what is compiled for a statement that runs once is lost
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// tryGraph fails with the smallest shop that it finds to fail.
func tryGraph(t *testing.T, db *pgxpool.Pool, bin string, g *graphShop, did map[string]int, name string) {
	t.Helper()
	x := &graphTrial{ctx: t.Context(), db: db, bin: bin, g: g.clone(), did: map[string]int{}}
	started := time.Now()
	err := x.run()
	if took := time.Since(started); took > 10*time.Second {
		t.Logf("%s took %s", name, took)
	}
	if err != nil {
		small, smallErr := shrinkGraph(t.Context(), db, bin, g, err)
		require.NoError(t, err, "%s\n\nof a smaller one:\n%v\n\n%s", name, smallErr, small)
	}
	if x.refused {
		did["refused"]++
		return
	}
	did["orders"] += x.erased
	if x.erased == 0 {
		return
	}
	did["orders "+g.Form]++
	did[map[bool]string{true: "own marks", false: "columns of the shop's"}[g.OwnMarks]]++
	for feature, n := range x.did {
		did[feature] += n
	}
}

// shrinkGraph takes away what the failure does not need.
func shrinkGraph(ctx context.Context, db *pgxpool.Pool, bin string, g *graphShop, failure error) (*graphShop, error) {
	until := time.Now().Add(time.Minute)
	kind := failureKind(failure)
	for found := true; found && time.Now().Before(until); {
		found = false
		for _, c := range g.smaller() {
			x := &graphTrial{ctx: ctx, db: db, bin: bin, g: c.clone(), did: map[string]int{}}
			if err := x.run(); err != nil && failureKind(err) == kind {
				g, failure, found = c, err, true
				break
			}
		}
	}
	return g, failure
}

// failureKind is what two failures of the same fault have in common: their words without numbers.
func failureKind(err error) string {
	var words []string
	for _, w := range strings.Fields(err.Error()) {
		if !strings.ContainsAny(w, "0123456789[]{}:,") {
			words = append(words, w)
		}
	}
	return strings.Join(words[:min(len(words), 9)], " ")
}
