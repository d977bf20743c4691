package traces

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// allowed are the attributes that leave the process. Values are names from the configuration, closed lists and numbers.
var allowed = map[attribute.Key]bool{
	"kvit.destination": true, "kvit.event_id": true, "kvit.event_name": true, "kvit.attempt": true, "kvit.events": true,
	"kvit.result": true, "kvit.outcome": true,
	// of River
	"id": true, "kind": true, "queue": true, "attempt": true, "priority": true, "status": true, "cancel": true, "snooze": true,
	"snooze.duration": true, "created_at": true, "scheduled_at": true,
	// of HTTP: neither address nor host
	"http.request.method": true, "http.response.status_code": true, "http.request.body.size": true, "network.protocol.version": true,
}

// gate lets through what is allowed.
type gate struct{ sdktrace.SpanExporter }

func (g gate) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	bare := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		bare[i] = bareSpan{span}
	}
	return g.SpanExporter.ExportSpans(ctx, bare)
}

// bareSpan is a span without what others may have written into it.
type bareSpan struct{ sdktrace.ReadOnlySpan }

func (s bareSpan) Attributes() []attribute.KeyValue { return bare(s.ReadOnlySpan.Attributes()) }

// Events are texts of errors.
func (s bareSpan) Events() []sdktrace.Event { return nil }

// Status keeps whether it went well: why is in kvit.delivery_status, by the event's id.
func (s bareSpan) Status() sdktrace.Status {
	return sdktrace.Status{Code: s.ReadOnlySpan.Status().Code}
}

func (s bareSpan) Links() []sdktrace.Link {
	links := make([]sdktrace.Link, len(s.ReadOnlySpan.Links()))
	for i, link := range s.ReadOnlySpan.Links() {
		links[i] = sdktrace.Link{SpanContext: link.SpanContext, Attributes: bare(link.Attributes)}
	}
	return links
}

func bare(list []attribute.KeyValue) []attribute.KeyValue {
	kept := make([]attribute.KeyValue, 0, len(list))
	for _, a := range list {
		if allowed[a.Key] {
			kept = append(kept, a)
		}
	}
	return kept
}
