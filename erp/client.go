package erp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"kvit/destination"
)

// MaxAnswer is how many bytes of one answer are read: a page of 20,000 rows of six columns has about 5 MB.
const MaxAnswer = 16 << 20

// ClientOptions are what an ERP's Client needs beside Common.
type ClientOptions struct {
	AllowPrivate bool       // the ERP stands in a network of the shop's own
	Auth         Authorizer // nil: none
	Rate         float64    // requests a second; 0: no limit
	Burst        int        // requests that may follow each other at once; default 1

	// ResetSeconds tells that the ERP's X-RateLimit-Reset counts seconds: after an answer whose X-RateLimit-Remaining
	// is 0 the next request waits so long, instead of being turned away.
	ResetSeconds bool
}

// Authorizer puts credentials on requests.
type Authorizer interface {
	// Authorize changes the request. It may ask for a token by the client, and then returns its *Error.
	Authorize(ctx context.Context, c *Client, req *http.Request) error
	// Refused tells that the ERP did not accept the credentials, and whether other ones can be had: a new token.
	Refused() (again bool)
}

// Client asks an ERP by HTTP, under the rules that all connectors share: one request at a time, counted, redirects not
// followed, addresses checked when they are dialled, answers bounded, waits that the ERP asks for observed, a token
// renewed once. Its errors are *Error.
type Client struct {
	http    *destination.Client
	auth    Authorizer
	meter   *Meter
	limiter *rate.Limiter
	resets  bool
	free    time.Time // before it the ERP's own limit lets no request through
	wait    func(ctx context.Context, d time.Duration) error
	now     func() time.Time
}

// NewClient returns a Client with connections of its own.
func NewClient(common Common, o ClientOptions) *Client {
	options := common.HTTP
	options.AllowPrivate, options.MaxAnswer, options.MaxConns = o.AllowPrivate, MaxAnswer, 1
	c := &Client{
		http: destination.NewClient(options), auth: o.Auth, meter: common.Meter,
		wait: common.Wait, now: common.Now, limiter: rate.NewLimiter(rate.Inf, 1), resets: o.ResetSeconds,
	}
	if o.Rate > 0 {
		c.limiter = rate.NewLimiter(rate.Limit(o.Rate), max(o.Burst, 1))
	}
	if c.wait == nil {
		c.wait = wait
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	patience    = 30 * time.Second // the longest wait within a run; a longer one ends the run
	maxAttempts = 4                // of one question
	firstWait   = 2 * time.Second  // where the ERP does not say how long; doubles
)

// Get asks for a JSON document and reads it into what into points to. Members that it does not name are skipped.
func (c *Client) Get(ctx context.Context, url string, header http.Header, into any) (http.Header, error) {
	return c.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, Fail(Misconfigured, "the address is no URL")
		}
		for name, values := range header {
			req.Header[name] = values
		}
		return req, nil
	}, into)
}

// Do is Get for a request that is built anew for each attempt.
func (c *Client) Do(ctx context.Context, build func() (*http.Request, error), into any) (http.Header, error) {
	var refused bool
	for attempt := 1; ; attempt++ {
		header, err := c.try(ctx, build, into)
		var e *Error
		if err == nil || !errors.As(err, &e) || attempt == maxAttempts || ctx.Err() != nil {
			return header, err
		}
		switch {
		case e.Kind == Unauthorized && e.Code == http.StatusUnauthorized && c.auth != nil && !refused && c.auth.Refused():
			refused = true
		case e.Kind == Throttled:
			pause := cmp.Or(e.RetryAfter, firstWait<<(attempt-1))
			if pause > patience {
				return header, err
			}
			if err := c.wait(ctx, pause); err != nil {
				return header, Fail(Unreachable, "interrupted while waiting for the ERP")
			}
		default:
			return header, err
		}
	}
}

func (c *Client) try(ctx context.Context, build func() (*http.Request, error), into any) (http.Header, error) {
	req, err := build()
	if err != nil {
		return nil, err
	}
	if c.auth != nil {
		if err := c.auth.Authorize(ctx, c, req); err != nil {
			return nil, err
		}
	}
	return c.once(req, into)
}

// once makes one request without credentials of its own.
func (c *Client) once(req *http.Request, into any) (http.Header, error) {
	if err := c.pace(req.Context()); err != nil {
		return nil, err
	}
	if err := c.meter.Take(); err != nil {
		return nil, err
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	answer, failed := c.http.Do(req)
	if failed != nil {
		return nil, unanswered(failed)
	}
	c.noteReset(answer.Header)
	if err := judgeAnswer(answer); err != nil {
		return answer.Header, err
	}
	return answer.Header, decode(answer, into)
}

// pace waits until the rate lets the next request through, and the ERP's own limit if it told of one.
func (c *Client) pace(ctx context.Context) error {
	now := c.now()
	pause := c.free.Sub(now)
	if pause > patience {
		return &Error{Kind: Throttled, Reason: "the calls that the ERP takes for now are used up", RetryAfter: pause}
	}
	c.free = time.Time{}
	pause = max(pause, c.limiter.ReserveN(now, 1).DelayFrom(now))
	if pause <= 0 {
		return nil
	}
	if err := c.wait(ctx, pause); err != nil {
		return Fail(Unreachable, "interrupted while waiting for the ERP's rate")
	}
	return nil
}

func (c *Client) noteReset(header http.Header) {
	if !c.resets || header.Get("X-RateLimit-Remaining") != "0" {
		return
	}
	seconds, err := strconv.Atoi(header.Get("X-RateLimit-Reset"))
	if err == nil && 0 < seconds && seconds <= 24*60*60 {
		c.free = c.now().Add(time.Duration(seconds) * time.Second)
	}
}

func unanswered(e *destination.Error) *Error {
	if e.Kind == destination.Misconfigured {
		return Fail(Misconfigured, "%s: set allow_private for an ERP in a network of your own", e.Reason)
	}
	return Fail(Unreachable, "%s", e.Reason)
}

// judgeAnswer says what the status of an answer means; nil for 200 to 299.
func judgeAnswer(a destination.Answer) error {
	kind, reason := verdict(a.Status)
	if kind == 0 {
		return nil
	}
	e := &Error{Kind: kind, Code: a.Status, Reason: reason}
	if kind == Throttled || kind == Unreachable {
		// The header means the same with every status.
		e.RetryAfter = destination.Judge(http.StatusTooManyRequests, a.Header).RetryAfter
		if e.RetryAfter > 0 {
			e.Kind = Throttled
		}
	}
	return e
}

func verdict(status int) (ErrorKind, string) {
	switch {
	case 200 <= status && status <= 299:
		return 0, ""
	case status < 400:
		return Misconfigured, "the ERP answered with a redirect, which is not followed with credentials: set the address it leads to"
	case status == http.StatusUnauthorized:
		return Unauthorized, "the ERP did not accept the credentials"
	case status == http.StatusForbidden:
		return Unauthorized, "the credentials have no right to read this"
	case status == http.StatusNotFound:
		return Misconfigured, "there is nothing at this address: company, collection or service name is wrong, or not published"
	case status == http.StatusMethodNotAllowed:
		return Misconfigured, "the service is switched off, or the address is wrong"
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout, status == http.StatusRequestEntityTooLarge:
		return TooMuch, "the ERP could not answer so much in time"
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable, status == http.StatusBadGateway:
		return Throttled, "the ERP asked to slow down, or is not available for now"
	case status < 500:
		return Refused, "the ERP does not take the question"
	default:
		return Unreachable, "the ERP had an error of its own"
	}
}

func decode(a destination.Answer, into any) error {
	if a.Cut {
		return Fail(Unreachable, "the answer broke off")
	}
	if len(a.Body) >= MaxAnswer {
		return Fail(TooMuch, "the answer is larger than 16 MB")
	}
	body := bytes.TrimSpace(bytes.TrimPrefix(a.Body, []byte("\xef\xbb\xbf")))
	if bytes.HasPrefix(body, []byte("<")) {
		return &Error{Kind: Malformed, Code: a.Status, Reason: "the answer is HTML or XML and not JSON"}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return &Error{Kind: Malformed, Code: a.Status, Reason: "the answer is not JSON of the expected form"}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return &Error{Kind: Malformed, Code: a.Status, Reason: "more follows after the JSON of the answer"}
	}
	return nil
}

// Close closes the connections that wait for a next request.
func (c *Client) Close() { c.http.Close() }
