package demo

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTracesFindEverythingOfAPerson(t *testing.T) {
	t.Parallel()
	p := newVisitor(1, 7, time.Second).person
	for _, text := range []string{p.lastName(), p.name(), p.email(), p.phone(), p.street(), p.address(), p.cookie()} {
		match := traces.FindStringSubmatch("before\t" + text + "\tafter")
		require.NotNil(t, match, text)
		require.Equal(t, "10007", match[1], text)
	}
}

func TestTracesFindNobodyInKeys(t *testing.T) {
	t.Parallel()
	v := newVisitor(1, 7, time.Second)
	for _, e := range []written{v.orderEvent("paid"), v.cartEvent(1, v.cart, false), v.personEvent("account_created"), v.engravingEvent()} {
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
	heard := 0
	r, err := listen(t.Context(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard++ }), 1)
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
	require.Equal(t, 6, heard)
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
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.LessOrEqual(t, len(lines), TableHeight)
	for _, line := range lines {
		require.LessOrEqual(t, len(line), TableWidth, line)
	}
	s.show(Figures{}, 2*time.Second)
	require.Contains(t, out.String(), "\x1b[16A\x1b[J00:02 of 01:30")
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
