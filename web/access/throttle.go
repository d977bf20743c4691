package access

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// An address may try attempts times at once, and once more every attemptEvery.
const (
	attempts     = 10
	attemptEvery = 30 * time.Second
	maxAddresses = 10_000 // that are remembered
)

// throttle slows down whoever guesses passwords, by address.
type throttle struct {
	now func() time.Time

	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, limiters: map[string]*rate.Limiter{}}
}

// admit takes an attempt of an address, if it has one left.
func (t *throttle) admit(address string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	limiter := t.limiters[address]
	if limiter == nil {
		t.makeRoom()
		limiter = rate.NewLimiter(rate.Every(attemptEvery), attempts)
		t.limiters[address] = limiter
	}
	return limiter.AllowN(t.now(), 1)
}

// makeRoom forgets addresses that have all their attempts again. If so many try at once that none has, all are forgotten: each
// has attempts of its own anyway, and what bounds those is how many passwords are compared at the same time.
func (t *throttle) makeRoom() {
	if len(t.limiters) < maxAddresses {
		return
	}
	for address, limiter := range t.limiters {
		if limiter.TokensAt(t.now()) >= attempts {
			delete(t.limiters, address)
		}
	}
	if len(t.limiters) >= maxAddresses {
		clear(t.limiters)
	}
}

// clientAddress is by which a request is throttled: the socket's address, or the one that the outermost of so many proxies has
// seen. What stands further left in X-Forwarded-For anybody can write. Of IPv6 it is the network of 64 bits, which is one client's.
func clientAddress(r *http.Request, hops int) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	var seen []string
	for _, header := range r.Header.Values("X-Forwarded-For") {
		seen = append(seen, strings.Split(header, ",")...)
	}
	if hops > 0 && len(seen) >= hops {
		host = strings.TrimSpace(seen[len(seen)-hops])
	}
	return network(host)
}

func network(host string) string {
	if port, err := netip.ParseAddrPort(host); err == nil {
		host = port.Addr().String() // some proxies add the port
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return "unknown" // all that cannot be read share their attempts
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	prefix, _ := address.Prefix(64)
	return prefix.String()
}
