package demo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"kvit/destination/spread/spreadtest"
	"kvit/destination/webhook/webhooktest"
)

// receivers are the other side: a SPREAD that keeps state, a webhook receiver that deduplicates, and in
// the whole demo one of each other kind.
type receivers struct {
	spread     *spreadtest.Server
	spreadKeys [2]string // public, private
	spreadHTTP *receiver

	webhook       *webhooktest.Receiver
	webhookSecret string
	webhookHTTP   *receiver

	more []*provider
}

// receiver is an HTTP server on loopback with trouble in front.
type receiver struct {
	trouble *trouble
	server  *http.Server
	url     string
}

func startReceivers(ctx context.Context, all bool) (*receivers, error) {
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
	if !all {
		return r, nil
	}
	if r.more, err = startProviders(ctx); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

func listen(ctx context.Context, handler http.Handler, everyNth int) (*receiver, error) {
	return listenAs(ctx, newTrouble(handler, everyNth))
}

func listenAs(ctx context.Context, t *trouble) (*receiver, error) {
	r, err := serve(ctx, t)
	if err == nil {
		r.trouble = t
	}
	return r, err
}

// serve listens without trouble.
func serve(ctx context.Context, handler http.Handler) (*receiver, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a receiver: %w", err)
	}
	r := &receiver{
		url:    "http://" + listener.Addr().String(),
		server: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() { _ = r.server.Serve(listener) }() // until stop
	return r, nil
}

// all are those that listen.
func (r *receivers) all() []*receiver {
	list := []*receiver{r.spreadHTTP, r.webhookHTTP}
	for _, p := range r.more {
		list = append(list, p.http)
	}
	return slices.DeleteFunc(list, func(one *receiver) bool { return one == nil })
}

// calm ends the trouble.
func (r *receivers) calm() {
	for _, one := range r.all() {
		one.trouble.end()
	}
}

func (r *receivers) stop() error {
	var errs []error
	for _, one := range r.all() {
		errs = append(errs, one.server.Close())
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
