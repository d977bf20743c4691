package jobs

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

// A round that fails is not tried again by River, beside the next minute's.
func TestRoundOfAlarmsThatFails(t *testing.T) {
	t.Parallel()
	job := &river.Job[NotifyArgs]{JobRow: &rivertype.JobRow{ID: 1}}
	w := &notifyWorker{logger: slog.New(slog.DiscardHandler)}
	require.NoError(t, w.Work(t.Context(), job), "nobody is to be told")
	w.tell = func(context.Context) error { return errors.New("marker") }
	var cancelled *river.JobCancelError
	require.ErrorAs(t, w.Work(t.Context(), job), &cancelled)
	require.NotContains(t, cancelled.Error(), "marker")
	require.Empty(t, notifyPeriodic(nil), "a kvit that has no channel makes no jobs")
	require.Len(t, notifyPeriodic(w.tell), 1)
}
