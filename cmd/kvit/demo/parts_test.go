package demo

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTracesFindEverythingOfAPerson(t *testing.T) {
	t.Parallel()
	p := newVisitor(1, 7, time.Second).person
	for _, text := range []string{p.lastName(), p.name(), p.email(), p.phone(), p.street(), p.address(), p.cookie(), p.clientID(), p.browserID(), p.visitorID(), p.userID()} {
		match := traces.FindStringSubmatch("before\t" + text + "\tafter")
		require.NotNil(t, match, text)
		require.Equal(t, "10007", match[1], text)
	}
}

func TestTracesFindNobodyInKeys(t *testing.T) {
	t.Parallel()
	v := newVisitor(1, 7, time.Second)
	events := append(v.browsing(), v.orderEvent("paid"), v.cartEvent(1, v.cart, false), v.personEvent("account_created"), v.engravingEvent())
	for _, e := range events {
		require.False(t, traces.MatchString(e.key+" "+e.name+" "+e.orderRef), e.key)
	}
}

// Order and person have the same number, and a bystander has one of nobody else.
func TestVisitorsAreNumbered(t *testing.T) {
	t.Parallel()
	last := newVisitor(1, maxOrders-1, time.Second)
	require.Equal(t, "E143999", last.ref)
	require.Equal(t, 53_999, last.number)
	require.Equal(t, 54_000, newVisitor(1, 0, time.Second).bystander().number)
	require.Less(t, last.bystander().number, 100_000, "a number must have five digits")
}

func TestSameSeedMakesSameVisitors(t *testing.T) {
	t.Parallel()
	require.Equal(t, newVisitor(5, 3, time.Second), newVisitor(5, 3, time.Second))
	require.NotEqual(t, newVisitor(5, 3, time.Second), newVisitor(6, 3, time.Second))
}

func TestClockLeavesRoom(t *testing.T) {
	t.Parallel()
	for length := Shortest; length <= Longest; length += time.Second {
		c := newClock(length)
		require.Positive(t, c.close, length)
		require.GreaterOrEqual(t, length, c.close+c.life+retryRoom, "what fails last can be delivered")
		// The first order is paid after a quarter of its life at most and imported soon after.
		require.Greater(t, c.cutoff, c.life+c.month, "the first orders are due before the cutoff")
	}
	require.Equal(t, time.Minute, newClock(90*time.Second).month)
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	require.NoError(t, Check(Shortest, 2))
	require.ErrorContains(t, Check(Shortest-1, 2), "--for")
	require.ErrorContains(t, Check(Longest+1, 2), "--for")
	require.ErrorContains(t, Check(time.Minute, 0), "--orders-per-second")
	require.ErrorContains(t, Check(Longest, 100), "at most 44000 orders")
}

// Trouble hits each nth event once: the second attempt gets through, and is a repeat where the first
// one was heard.
func TestTroubleComesOnce(t *testing.T) {
	t.Parallel()
	var heard atomic.Int32
	r, err := listen(t.Context(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }), 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.server.Close()) })
	attempt := func(body string) int {
		answer, err := http.Post(r.url, "text/plain", strings.NewReader(body))
		if err != nil {
			return 0
		}
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
		require.NoError(t, err)
		return answer.StatusCode
	}
	var first, second []int
	for _, body := range []string{"a", "b", "c", "d"} {
		first = append(first, attempt(body))
		second = append(second, attempt(body))
	}
	require.Equal(t, []int{502, 429, 0, 502}, first)
	require.Equal(t, []int{200, 200, 200, 200}, second)
	require.EqualValues(t, 6, heard.Load())
	require.Equal(t, 2, r.trouble.heardAgain())

	r.trouble.end()
	require.Equal(t, 200, attempt("e"), "in the second phase nothing fails")
}

func TestTableIsDrawnOverItself(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := &screen{out: &out, terminal: true, clock: newClock(90 * time.Second)}
	s.show(Figures{}, time.Second)
	require.NotContains(t, out.String(), "\x1b")
	requireFits(t, out.String(), false)
	s.show(Figures{}, 2*time.Second)
	require.Contains(t, out.String(), "\x1b[16A\x1b[J00:02 of 01:30")
}

func requireFits(t *testing.T, table string, all bool) {
	t.Helper()
	width, height := TableSize(all)
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	require.LessOrEqual(t, len(lines), height)
	for _, line := range lines {
		require.LessOrEqual(t, len(line), width, line)
	}
}

func TestTableOfAllFits(t *testing.T) {
	t.Parallel()
	many := Destination{Delivered: 12345, Withheld: 1234, Rejected: 1234, Stopped: 1234, Pending: 12345, Repeats: 1234}
	f := Figures{Spread: many, Webhook: many}
	for name := range termsOf {
		if name != "spread" && name != "webhook" {
			f.More = append(f.More, Named{name, many})
		}
	}
	var out strings.Builder
	s := &screen{out: &out, terminal: true, clock: newClock(90 * time.Second)}
	s.show(f, time.Second)
	requireFits(t, out.String(), true)
	require.Contains(t, out.String(), "microsoft_uet     12345")
}

// A request that fails takes all its events with it, and none of them fails again, alone or with others.
func TestTroubleOfABatch(t *testing.T) {
	t.Parallel()
	tr := newTrouble(http.NotFoundHandler(), 2)
	tr.split = batch("data")
	require.Equal(t, fine, tr.meet([]byte(`{"data": [1]}`)))
	require.Equal(t, failsAfter, tr.meet([]byte(`{"data": [2, 3]}`)))
	require.Equal(t, fine, tr.meet([]byte(`{"data": [3, 4]}`)), "3 has failed before")
	require.Equal(t, throttles, tr.meet([]byte(`{"data": [5]}`)), "as was due with 4")
	require.Equal(t, fine, tr.meet([]byte(`{"data": [5]}`)))
	require.Equal(t, resetsAfter, tr.meet([]byte(`no list`)), "a call of another kind is one event")
}

// What was counted without an answer is known, for it may be what kvit does not send again.
func TestTroubleKnowsWhatWasCountedUnsaid(t *testing.T) {
	t.Parallel()
	counted := 0
	tr := newTrouble(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { counted += 3 }), 1)
	tr.again = func() int { return counted }
	for _, body := range []string{"fails after", "is throttled", "is throttled"} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		tr.ServeHTTP(httptest.NewRecorder(), req)
	}
	require.Equal(t, 6, counted)
	require.Equal(t, 3, tr.countedUnsaid())
}

// The demo must find what a provider counts twice, loses or refuses.
func TestCompareFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	said := tally{once: 5, again: 3, states: 2}
	for name, c := range map[string]struct {
		counted tally
		unsaid  int
		stops   int
		twice   int
		wrong   int
	}{
		"Equal":      {counted: said},
		"Stopped":    {counted: tally{once: 5, again: 4, states: 2}, unsaid: 1, stops: 2},
		"Lost":       {counted: tally{once: 4, again: 3, states: 2}, wrong: 1},
		"Twice":      {counted: tally{once: 6, again: 3, states: 2}, twice: 1, wrong: 1},
		"SentAgain":  {counted: tally{once: 5, again: 5, states: 2}, unsaid: 1, stops: 1, twice: 1, wrong: 1},
		"NotStopped": {counted: tally{once: 5, again: 4, states: 2}, unsaid: 1, twice: 1, wrong: 1},
		"State":      {counted: tally{once: 5, again: 3, states: 1}, wrong: 1},
		"Refused":    {counted: tally{once: 5, again: 3, states: 2, refused: 1}, wrong: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &provider{Kind: "ga4", http: &receiver{trouble: &trouble{unsaid: c.unsaid}}}
			promise, twice := p.compare(c.counted, said, c.stops)
			require.Equal(t, c.twice, twice)
			require.Len(t, promise.Problems, c.wrong)
		})
	}
}

func TestSearchCountsLinesAndNames(t *testing.T) {
	t.Parallel()
	var found []int
	lines, err := search(strings.NewReader("x\nbuyer.10001@example.com Example-10002\n+4555510003"), func(n int) { found = append(found, n) })
	require.NoError(t, err)
	require.Equal(t, 2, lines)
	require.Equal(t, []int{10001, 10002, 10003}, found)
}

func TestReadyNeedsOK(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	require.False(t, ready(t.Context(), server.URL))
}
