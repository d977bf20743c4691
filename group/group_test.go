package group

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const (
	waitFor = 30 * time.Second
	tick    = 20 * time.Millisecond
)

// While one round trip is under way, everything that comes waits together for the next one.
func TestGroupServesACrowdTogether(t *testing.T) {
	t.Parallel()
	var sizes []int
	var mu sync.Mutex
	entered, release := make(chan struct{}, 10), make(chan struct{})
	g := New(100, func(_ context.Context, inputs []int) ([]int, error) {
		mu.Lock()
		sizes = append(sizes, len(inputs))
		mu.Unlock()
		entered <- struct{}{}
		<-release
		doubled := make([]int, len(inputs))
		for i, n := range inputs {
			doubled[i] = 2 * n
		}
		return doubled, nil
	})
	var calls errgroup.Group
	call := func(n int) {
		calls.Go(func() error {
			out, err := g.Do(context.Background(), n)
			if out != 2*n {
				return errors.New("got another call's answer")
			}
			return err
		})
	}
	call(1)
	<-entered
	for n := range 50 {
		call(n)
	}
	require.Eventually(t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.waiting) == 50
	}, waitFor, tick)
	close(release)
	require.NoError(t, calls.Wait())
	require.Equal(t, []int{1, 50}, sizes)
}

func TestGroupKeepsToItsMaximum(t *testing.T) {
	t.Parallel()
	var largest int
	var mu sync.Mutex
	g := New(7, func(_ context.Context, inputs []int) ([]int, error) {
		mu.Lock()
		largest = max(largest, len(inputs))
		mu.Unlock()
		return inputs, nil
	})
	var calls errgroup.Group
	for n := range 500 {
		calls.Go(func() error { _, err := g.Do(context.Background(), n); return err })
	}
	require.NoError(t, calls.Wait())
	require.LessOrEqual(t, largest, 7)
}

func TestGroupRepeatsWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	tries := 0
	g := New(10, func(_ context.Context, inputs []int) ([]int, error) {
		if tries++; tries < 3 {
			return nil, &pgconn.PgError{Code: "57P01"}
		}
		return inputs, nil
	})
	_, err := g.Do(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 3, tries)
}

func TestGroupDoesNotRepeatAStatementThatIsWrong(t *testing.T) {
	t.Parallel()
	tries := 0
	g := New(10, func(context.Context, []int) ([]int, error) {
		tries++
		return nil, &pgconn.PgError{Code: "42703"}
	})
	_, err := g.Do(t.Context(), 1)
	require.Error(t, err)
	require.Equal(t, 1, tries)
}

func TestGroupSurvivesAPanicAndAShortAnswer(t *testing.T) {
	t.Parallel()
	g := New(10, func(_ context.Context, inputs []int) ([]int, error) {
		if inputs[0] == 0 {
			panic("jane@example.com")
		}
		return nil, nil
	})
	for n := range 2 {
		_, err := g.Do(t.Context(), n)
		require.ErrorIs(t, err, ErrPanic)
		require.NotContains(t, err.Error(), "jane")
	}
}

func TestGroupCallerCanGiveUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	g := New(10, func(_ context.Context, inputs []int) ([]int, error) {
		<-release
		return inputs, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := g.Do(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
}
