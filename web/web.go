// Package web answers over HTTP: whether kvit lives, whether it is ready, and its metrics. Where a token for it is
// configured, it also takes receipts of ERPs. Everything else is refused.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options are what the pages tell of.
type Options struct {
	Listen  string                          // host:port
	Ready   func(ctx context.Context) error // nil when the daemon can work; the error's text is shown
	Metrics prometheus.Gatherer
	Receipts
	Status
	Pages http.Handler // all other addresses; nil: there are none
	TLS   *tls.Config  // nil: plain HTTP
	Notifications
	Logger *slog.Logger
}

// Server is the HTTP side of the daemon.
type Server struct {
	http     *http.Server
	listener net.Listener
}

// maxScrapes bounds how many gather the metrics at once, which asks the database; more are told to come back.
const maxScrapes = 4

// readyTimeout bounds what /readyz asks the database; probes commonly give up after a few seconds.
const readyTimeout = 2 * time.Second

// Handler answers the requests. GET /healthz says that the process lives, GET /readyz that it can
// work, GET /metrics gives the metrics in Prometheus' format. None of them shows personal data, so
// they want no credentials. POST /erp/receipts takes receipts from whoever has the token, if there is one, GET /status.json tells
// where kvit stands to whoever has another, and /erp/notifications/NAME takes hints of ERPs that are configured to give them.
// Everything else is for the pages, or does not exist.
func Handler(o Options) *Router {
	r := newRouter()
	r.handle(Open, "GET /healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	}))
	r.handle(Open, "GET /readyz", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := o.Ready(ctx); err != nil {
			answer(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		answer(w, http.StatusOK, "ready")
	}))
	r.handle(Open, "GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError, // the database is away: the counters still count
		MaxRequestsInFlight: maxScrapes,
	}))
	if o.Receipts.Token != "" {
		r.handle(Token, "POST /erp/receipts", newReceiptsHandler(o.Receipts, o.Logger))
	}
	if o.Status.Token != "" {
		r.handle(Token, "GET /status.json", newStatusHandler(o.Status, o.Logger))
	}
	if o.Pages != nil {
		r.handle(Login, "/", o.Pages)
	}
	if len(o.Notifications.States) > 0 {
		r.handle(Notified, "/erp/notifications/{source}", newNotificationsHandler(o.Notifications, o.Logger))
	}
	return r
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

// Listen starts to serve. An address that is taken is an error here, not a log line later.
func Listen(ctx context.Context, o Options) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on ops.listen: %w", err)
	}
	s := &Server{listener: listener, http: &http.Server{
		Handler:           marksBusy(Handler(o)),
		ConnContext:       withConnection,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute, // longer than the usual time between two scrapes
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}}
	bound := net.Listener(boundConnections(listener, maxConnections))
	if o.TLS != nil {
		bound = tls.NewListener(bound, o.TLS)
	}
	go func() {
		if err := s.http.Serve(bound); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("http server stopped", "err", err)
		}
	}()
	return s, nil
}

// Addr is where the server listens, with the port that port 0 became.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close lets requests under way end, for a few seconds at most.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.http.Shutdown(ctx)
}
