package destination

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traced has a span made of each request; without a provider it is the transport itself. Providers are not sent the trace's
// id: some sign or log all headers, and none of them has a use for it.
func traced(transport *http.Transport, provider trace.TracerProvider) http.RoundTripper {
	if provider == nil {
		return transport
	}
	return otelhttp.NewTransport(transport,
		otelhttp.WithTracerProvider(provider),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()), // of nothing
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return "HTTP " + r.Method }),
	)
}
