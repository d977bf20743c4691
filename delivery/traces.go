package delivery

import (
	"context"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"kvit/destination"
	"kvit/store"
)

// step is a part of an attempt as a trace shows it. The zero value is one that nobody looks at, and costs nothing.
type step struct{ span trace.Span }

// tracer is nil where nobody wants traces.
func tracer(provider trace.TracerProvider) trace.Tracer {
	if provider == nil {
		return nil
	}
	return provider.Tracer("kvit/delivery")
}

// traceEvent begins a step of one event's way.
func (l *Lane) traceEvent(ctx context.Context, name string, a Attempt, event *store.Event) (context.Context, step) {
	if l.tracer == nil {
		return ctx, step{}
	}
	ctx, span := l.tracer.Start(ctx, name, trace.WithAttributes(
		attribute.String("kvit.destination", l.Name), attribute.Int64("kvit.event_id", event.ID),
		attribute.String("kvit.event_name", tracedName(event.Name)), attribute.Int("kvit.attempt", a.Number)))
	return ctx, step{span}
}

// traceRequest begins a request: in the trace of its first event, with links to those of the others.
func (l *Lane) traceRequest(ctx context.Context, letters []*letter) (context.Context, step) {
	if l.tracer == nil {
		return ctx, step{}
	}
	ctx = trace.ContextWithSpan(ctx, trace.SpanFromContext(letters[0].ctx))
	links := make([]trace.Link, len(letters)-1)
	for i, other := range letters[1:] {
		links[i] = trace.LinkFromContext(other.ctx)
	}
	ctx, span := l.tracer.Start(ctx, "kvit.request", trace.WithLinks(links...), trace.WithAttributes(
		attribute.String("kvit.destination", l.Name), attribute.Int("kvit.events", len(letters))))
	return ctx, step{span}
}

// end tells what a request came to.
func (s step) end(result string) {
	if s.span == nil {
		return
	}
	s.span.SetAttributes(attribute.String("kvit.result", result))
	if result != Delivered {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}

// settled tells how a delivery ended; written: whether the receipt is there.
func (s step) settled(outcome string, written bool) {
	if s.span == nil {
		return
	}
	s.span.SetAttributes(attribute.String("kvit.outcome", outcome))
	if !written {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}

// tracedName is an event's name, unless the shop has made it up: nobody knows what it put there.
func tracedName(name string) string {
	switch {
	case slices.Contains(destination.Names, name):
		return name
	case strings.HasPrefix(name, destination.CustomPrefix):
		return destination.AnyCustom
	default:
		return "unknown"
	}
}

// replied is a reply as a trace has it.
func replied(r reply) string {
	switch r.fate {
	case held:
		return "held"
	case late:
		return "late"
	case divided:
		return "divided"
	case begun:
		return "begun before"
	case unknown:
		return "no answer in time"
	default:
		var failed *destination.Error
		if e, ok := r.err.(*destination.Error); ok { //nolint:errorlint // the sender's own, never wrapped
			failed = e
		}
		return result(failed)
	}
}
