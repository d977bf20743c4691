package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"kvit/destination/spread/spreadtest"
	"kvit/destination/webhook/webhooktest"
)

// receivers are the other side: a SPREAD that keeps state and a webhook receiver that deduplicates.
type receivers struct {
	spread     *spreadtest.Server
	spreadKeys [2]string // public, private
	spreadHTTP *receiver

	webhook       *webhooktest.Receiver
	webhookSecret string
	webhookHTTP   *receiver
}

// receiver is an HTTP server on loopback with trouble in front.
type receiver struct {
	trouble *trouble
	server  *http.Server
	url     string
}

func startReceivers(ctx context.Context) (*receivers, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	r := &receivers{
		spreadKeys:    [2]string{rand.Text(), rand.Text()},
		webhookSecret: "whsec_" + base64.StdEncoding.EncodeToString(secret),
	}
	r.spread = spreadtest.New(r.spreadKeys[0], r.spreadKeys[1], nil)
	var err error
	if r.webhook, err = webhooktest.New(nil, r.webhookSecret); err != nil {
		return nil, fmt.Errorf("make webhook receiver: %w", err)
	}
	if r.spreadHTTP, err = listen(ctx, r.spread, 40); err != nil {
		return nil, err
	}
	if r.webhookHTTP, err = listen(ctx, r.webhook, 12); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

func listen(ctx context.Context, handler http.Handler, everyNth int) (*receiver, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a receiver: %w", err)
	}
	t := &trouble{next: handler, nth: everyNth, seen: map[[sha256.Size]byte]bool{}, passed: map[[sha256.Size]byte]bool{}}
	r := &receiver{
		trouble: t, url: "http://" + listener.Addr().String(),
		server: &http.Server{Handler: t, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() { _ = r.server.Serve(listener) }() // until stop
	return r, nil
}

// calm ends the trouble.
func (r *receivers) calm() {
	r.spreadHTTP.trouble.end()
	r.webhookHTTP.trouble.end()
}

func (r *receivers) stop() error {
	var errs []error
	for _, one := range []*receiver{r.spreadHTTP, r.webhookHTTP} {
		if one != nil {
			errs = append(errs, one.server.Close())
		}
	}
	return errors.Join(errs...)
}

// spreadOrder is an order as SPREAD's API tells it.
type spreadOrder struct {
	Ref    string `json:"orderId"`
	Amount string `json:"amount"`
	State  string `json:"status"`
}

// spreadOrders asks SPREAD for all orders, as its user would.
func (r *receivers) spreadOrders(ctx context.Context) ([]spreadOrder, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.spreadHTTP.url+"/api/v2/orders", nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(r.spreadKeys[0], r.spreadKeys[1])
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask SPREAD for its orders: %w", err)
	}
	defer answer.Body.Close()
	var list struct{ Orders []spreadOrder }
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("read SPREAD's orders: %w", err)
	}
	return list.Orders, nil
}

// webhookTwice is how many events the webhook receiver has counted more than once.
func (r *receivers) webhookTwice() int {
	events, distinct := r.webhook.Events(), map[string]bool{}
	for _, key := range events {
		distinct[key] = true
	}
	return len(events) - len(distinct)
}

// trouble makes each nth event that arrives fail once, in four ways by turns; two of them lose the
// answer after the receiver has counted the event, so that the next attempt is a repeat.
//
// It comes in two phases. In the first one an event fails at its first attempt alone, because kvit's
// second wait is half a minute, and a third one two, which a demo does not have. In the second one,
// from when the shop closes, nothing fails, so that everything can settle and be counted.
type trouble struct {
	next http.Handler
	nth  int

	mu   sync.Mutex
	over bool
	seen map[[sha256.Size]byte]bool // bodies: those of an event are the same at each attempt

	passed  map[[sha256.Size]byte]bool // requests that the receiver has heard
	repeats int                        // of these
}

func (t *trouble) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

type way int

const (
	fine way = iota
	failsBefore
	failsAfter
	resetsAfter
	throttles
)

var ways = []way{failsAfter, throttles, resetsAfter, failsBefore}

// meet decides how a request goes.
func (t *trouble) meet(body []byte) way {
	sum := sha256.Sum256(body)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.seen[sum] {
		return fine
	}
	t.seen[sum] = true
	if n := len(t.seen); n%t.nth == 0 {
		return ways[(n/t.nth-1)%len(ways)]
	}
	return fine
}

// ServeHTTP passes the request on, or lets it fail.
func (t *trouble) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // whoever asked has left
	}
	how := t.meet(body)
	if how == failsAfter || how == resetsAfter {
		t.pass(unheard{http.Header{}}, req, body)
	}
	switch how {
	case failsBefore, failsAfter:
		http.Error(w, "an invented failure", http.StatusBadGateway)
	case resetsAfter:
		panic(http.ErrAbortHandler)
	case throttles:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "an invented limit", http.StatusTooManyRequests)
	default:
		t.pass(w, req, body)
	}
}

// pass lets the receiver hear the request.
func (t *trouble) pass(w http.ResponseWriter, req *http.Request, body []byte) {
	sum := sha256.Sum256(append([]byte(req.URL.Path+"\n"), body...))
	t.mu.Lock()
	if t.passed[sum] {
		t.repeats++
	}
	t.passed[sum] = true
	t.mu.Unlock()
	req.Body = io.NopCloser(bytes.NewReader(body))
	t.next.ServeHTTP(w, req)
}

// heardAgain is how many requests the receiver had heard before.
func (t *trouble) heardAgain() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.repeats
}

// unheard is an answer that gets lost.
type unheard struct{ header http.Header }

func (u unheard) Header() http.Header         { return u.header }
func (u unheard) Write(b []byte) (int, error) { return len(b), nil }
func (u unheard) WriteHeader(int)             {}
