// Package traces sends OpenTelemetry traces to whoever the standard environment variables name, and nowhere without them.
//
// What leaves the process goes through one gate: spans carry the attributes of a closed list, and neither events nor
// descriptions of errors. So no address, payload, reference or text of a provider can be in one, whatever a library puts there.
package traces

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// endWait is how long the last spans may take to leave when kvit stops.
const endWait = 5 * time.Second

// Traces is where the spans of a process go. nil: nowhere.
type Traces struct{ provider *sdktrace.TracerProvider }

// wanted tells whether the environment asks for traces, and whether in a form that kvit has.
func wanted(getenv func(string) string) (bool, error) {
	endpoint := getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") + getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	if endpoint == "" || strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false, nil
	}
	protocol := getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	if protocol != "" && protocol != "http/protobuf" {
		return false, errors.New("OTEL_EXPORTER_OTLP_PROTOCOL: kvit sends http/protobuf alone")
	}
	return true, nil
}

// New makes what the environment asks for: nil without OTEL_EXPORTER_OTLP_ENDPOINT. The exporter reads the standard
// variables (address, headers, certificate, sampling, batches) from the process' own environment.
func New(ctx context.Context, getenv func(string) string, version string, logger *slog.Logger) (*Traces, error) {
	on, err := wanted(getenv)
	if !on || err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("make exporter of traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "kvit"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		logger.Warn("traces could not be sent", "err", err) // of the collector, which sees nothing personal
	}))
	return &Traces{sdktrace.NewTracerProvider(sdktrace.WithBatcher(gate{exporter}), sdktrace.WithResource(about))}, nil
}

// Provider is what the rooms make their spans with; nil: none are made.
func (t *Traces) Provider() trace.TracerProvider {
	if t == nil {
		return nil // not an interface that holds a nil
	}
	return t.provider
}

// End sends what is left.
func (t *Traces) End(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the error handler has told of it
}
