package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"
)

// ErrNotLoopback says that profiles were to be served to other machines.
var ErrNotLoopback = errors.New("profiles are served on loopback addresses only")

// longestProfile is enough for the longest profile that one asks for, of some minutes.
const longestProfile = 10 * time.Minute

// ListenProfiles serves Go's profiles of this process under /debug/pprof/ on a loopback address, host:port. Another address
// is ErrNotLoopback. They have a listener of their own, since the other one is often open to a network.
func ListenProfiles(ctx context.Context, address string, logger *slog.Logger) (*Server, error) {
	if !onLoopback(address) {
		return nil, fmt.Errorf("listen on %s: %w", address, ErrNotLoopback)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on ops.pprof_listen: %w", err)
	}
	s := &Server{listener: listener, http: &http.Server{
		Handler:           Profiles(),
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      longestProfile,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("profiles stopped", "err", err)
		}
	}()
	return s, nil
}

// Profiles are the addresses of Go's profiles. They answer whoever asks by a loopback address: a page in a browser of this machine
// that has given its own name this address comes by that name, and others say that they are of another site. The package's own
// registration with http.DefaultServeMux is of no effect here: nothing serves that.
func Profiles() *Router {
	r := newRouter()
	for pattern, profile := range map[string]http.HandlerFunc{
		"GET /debug/pprof/": pprof.Index, "GET /debug/pprof/profile": pprof.Profile, "GET /debug/pprof/trace": pprof.Trace,
		"GET /debug/pprof/symbol": pprof.Symbol, "POST /debug/pprof/symbol": pprof.Symbol,
	} {
		r.handle(Loopback, pattern, fromThisMachine(profile))
	}
	return r
}

func fromThisMachine(profile http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); host != "localhost" && (err != nil || !onLoopback(r.Host)) {
			answer(w, http.StatusForbidden, ErrNotLoopback.Error())
			return
		}
		// A profile takes seconds of a core: no page has a reason to ask for one, also where it cannot read the answer.
		if site := r.Header.Get("Sec-Fetch-Site"); r.Header.Get("Origin") != "" || site != "" && site != "none" && site != "same-origin" {
			answer(w, http.StatusForbidden, "profiles are not for pages of other sites")
			return
		}
		profile(w, r)
	})
}

// onLoopback tells whether host:port is an address that only this machine reaches.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
