package destination_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// sender is a destination without a call for erasure.
type sender struct{}

func (sender) Send(context.Context, destination.Event) (int, error) { return http.StatusOK, nil }
func (sender) Traits() destination.Traits                           { return destination.Traits{} }

// eraser has such a call.
type eraser struct {
	sender
	configured bool
}

func (e eraser) CanRedact() bool { return e.configured }

func (eraser) Redact(context.Context, destination.Redaction) (int, error) {
	return http.StatusAccepted, nil
}

func TestRedactorOf(t *testing.T) {
	t.Parallel()
	_, ok := destination.RedactorOf(sender{})
	require.False(t, ok, "no call is known")
	_, ok = destination.RedactorOf(eraser{})
	require.False(t, ok, "not configured")
	redactor, ok := destination.RedactorOf(eraser{configured: true})
	require.True(t, ok)
	code, err := redactor.Redact(t.Context(), destination.Redaction{})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, code)
}

func TestJudgeRedaction(t *testing.T) {
	t.Parallel()
	require.Nil(t, destination.JudgeRedaction(http.StatusAccepted, nil))
	require.EqualError(t, destination.JudgeRedaction(http.StatusUnprocessableEntity, nil), "the provider rejected the request to erase (HTTP 422)")
	throttled := destination.JudgeRedaction(http.StatusTooManyRequests, http.Header{"Retry-After": {"7"}})
	require.Equal(t, destination.Throttled, throttled.Kind)
	require.Equal(t, 7*time.Second, throttled.RetryAfter)
}
