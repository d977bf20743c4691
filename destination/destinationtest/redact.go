package destinationtest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// RedactHarness is what RunRedact has to know about an adapter.
type RedactHarness struct {
	// New returns the adapter, with everything configured that erasing needs, and the provider's call for it
	// at baseURL.
	New func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Redactor
	// Success answers as the provider does when it has taken a request.
	Success http.HandlerFunc
	// Redaction is one that makes a single request; nil is Redaction itself.
	Redaction func() destination.Redaction
	// Statuses and Volatile are those of a Harness.
	Statuses map[int]destination.Kind
	Volatile []string
}

// Redaction is of a person of whom everything is known, with Marker in all texts that may have one.
func Redaction() destination.Redaction {
	return destination.Redaction{
		ID: "kvit.erasure_task:17", RequestedAt: time.Date(2025, 4, 5, 6, 7, 8, 0, time.UTC),
		Email: Marker + ".doe@example.com", CustomerID: Marker + "-1042", Phone: "+12025550123",
		ClientIDs: []string{"1234567890.1700000000", "987654321.1600000000"}, OrderRefs: []string{"E100042", "E100043"},
	}
}

// RunRedact runs, in parallel, the tests of Run that look at how one request is answered, and those that
// belong to erasing alone.
func RunRedact(t *testing.T, h RedactHarness) {
	if h.Redaction == nil {
		h.Redaction = Redaction
	}
	for name, test := range map[string]func(*testing.T, Harness){
		"SameTwice": sameTwice, "Statuses": statuses, "RetryAfter": waits, "Redirect": redirect,
		"Refused": refused, "TimeoutBeforeWritten": timeoutBefore, "TimeoutAfterWritten": timeoutAfter, "Reset": reset,
		"BodyBreaksOff": bodyBreaksOff, "SlowBody": slowBody, "GiantAnswer": giantAnswer, "OddAnswers": oddAnswers,
		"CancelledBefore": cancelledBefore, "CancelledMeanwhile": cancelledMeanwhile,
		"Echo": echo, "Concurrent": concurrent, "Reuse": reuse,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, h.asHarness())
		})
	}
	t.Run("Taken", func(t *testing.T) {
		t.Parallel()
		taken(t, h)
	})
	t.Run("Nobody", func(t *testing.T) {
		t.Parallel()
		nobody(t, h)
	})
}

func (h RedactHarness) asHarness() Harness {
	return Harness{
		New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
			return redacting{t: t, Redactor: h.New(t, baseURL, options), redaction: h.Redaction()}
		},
		Success: h.Success, Statuses: h.Statuses, Volatile: h.Volatile,
	}
}

// redacting makes a redaction of whatever event it is to send, so that the tests of sending apply.
type redacting struct {
	destination.Redactor
	t         *testing.T
	redaction destination.Redaction
}

func (r redacting) Traits() destination.Traits {
	return destination.Traits{Events: []string{"search"}}
}

func (r redacting) Send(ctx context.Context, _ destination.Event) (int, error) {
	code, err := r.Redact(ctx, r.redaction)
	for _, text := range values(r.redaction) {
		if err != nil && strings.Contains(err.Error(), text) {
			r.t.Errorf("the error holds what the redaction says about the person: %v", err)
		}
	}
	return code, err
}

// values are what the redaction says about the person.
func values(r destination.Redaction) []string {
	all := slices.Concat([]string{r.Email, r.CustomerID, r.Phone}, r.ClientIDs, r.OrderRefs)
	return slices.DeleteFunc(all, func(text string) bool { return text == "" })
}

func taken(t *testing.T, h RedactHarness) {
	seen := &recorder{next: h.Success}
	r := h.New(t, Serve(t, seen), destination.ClientOptions{Timeout: long})
	require.True(t, r.CanRedact())
	code, err := r.Redact(t.Context(), h.Redaction())
	require.NoError(t, err)
	require.Equal(t, 2, code/100)
	require.Len(t, seen.all(), 1)
}

// nobody: of somebody of whom nothing is known the provider is not asked.
func nobody(t *testing.T, h RedactHarness) {
	seen := &recorder{next: h.Success}
	r := h.New(t, Serve(t, seen), destination.ClientOptions{Timeout: long})
	_, err := r.Redact(t.Context(), destination.Redaction{ID: "kvit.erasure_task:18", RequestedAt: time.Unix(1, 0)})
	var known *destination.Error
	require.ErrorAs(t, err, &known)
	require.Equal(t, destination.Rejected, known.Kind)
	require.Empty(t, seen.all())
}
