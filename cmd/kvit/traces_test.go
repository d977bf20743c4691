package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"kvit/store/storetest"
)

// spans is a collector of traces.
type spans struct {
	mu   sync.Mutex
	list []*otlp.Span
	text strings.Builder // all that came, as JSON
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.WriteString(protojson.Format(&request))
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			s.list = append(s.list, scope.Spans...)
		}
	}
}

// traceOf are the names of the spans that are in one trace with a receipt of this outcome.
func (s *spans) traceOf(outcome string) map[string]*otlp.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	var id string
	for _, span := range s.list {
		for _, a := range span.Attributes {
			if a.Key == "kvit.outcome" && a.Value.GetStringValue() == outcome {
				id = hex.EncodeToString(span.TraceId)
			}
		}
	}
	found := map[string]*otlp.Span{}
	for _, span := range s.list {
		if id != "" && hex.EncodeToString(span.TraceId) == id {
			found[span.Name] = span
		}
	}
	return found
}

// One trace from a job's fetch to its receipt, with nothing personal in it, and providers do not hear of it.
func TestTraces(t *testing.T) {
	t.Parallel()
	got := &spans{}
	var mu sync.Mutex
	var headers []http.Header
	provider := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		headers = append(headers, r.Header.Clone())
		mu.Unlock()
		echo(http.StatusOK).ServeHTTP(w, r)
	}))
	k := install(t, storetest.URL(t), `
database: {url: "${DATABASE_URL}"}
ops: {listen: "%ADDRESS%"}
destinations:
  good: {kind: webhook, url: "`+provider+`/in?token=`+marker+`", secret: "${CRM_SECRET}", allow_private: true, deduplicates: true}
  bad: {kind: webhook, url: "`+serve(t, echo(http.StatusBadRequest))+`/in?token=`+marker+`", secret: "${CRM_SECRET}", allow_private: true, deduplicates: true}
`)
	k.env = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + serve(t, got), "OTEL_BSP_SCHEDULE_DELAY=50"}
	k.mustCall("migrate", "up")
	k.start()
	k.waitReady()
	_, err := k.pool().Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
		values ('order_paid:E1', 'order_paid', $1, $2, '{"marketing": true, "analytics": true}')`, marker, markedPayload(t, "E1"))
	require.NoError(t, err)

	names := []string{"kvit.job", "kvit.fetch", "river.work/deliver_event", "kvit.send", "kvit.request", "HTTP POST", "kvit.receipt"}
	for _, outcome := range []string{"delivered", "rejected"} {
		require.Eventually(t, func() bool { return len(got.traceOf(outcome)) == len(names) }, waitFor, tick, outcome)
		trace := got.traceOf(outcome)
		for _, name := range names {
			require.Contains(t, trace, name, outcome)
		}
		require.Empty(t, trace["kvit.job"].ParentSpanId)
		require.Equal(t, trace["kvit.job"].SpanId, trace["kvit.fetch"].ParentSpanId)
		require.Equal(t, trace["kvit.request"].SpanId, trace["HTTP POST"].ParentSpanId)
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	require.Contains(t, got.text.String(), "order_paid")
	requireNoMarker(t, "traces", got.text.String())
	require.NotContains(t, got.text.String(), "127.0.0.1", "addresses")
	mu.Lock()
	defer mu.Unlock()
	for _, header := range headers {
		require.Empty(t, header.Get("Traceparent"))
	}
}
