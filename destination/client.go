package destination

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// MaxAnswer is how many bytes of an answer are read, unless ClientOptions say so; a connection with more is
// closed.
const MaxAnswer = 64 << 10

// ClientOptions are the settings of a Client. The zero value is usable.
type ClientOptions struct {
	Timeout      time.Duration        // one request with its answer; default 15 s
	MaxConns     int                  // connections to one host, kept open between requests; default 16
	AllowPrivate bool                 // also connect to addresses that are not public, see IsPublic
	MaxAnswer    int                  // bytes of an answer that are read; default MaxAnswer
	Traces       trace.TracerProvider // of requests, without their addresses; nil: none
	IgnoreAnswer bool                 // only the status matters: Answer.Body stays empty
}

// Client makes HTTP requests under the rules that all destinations share: HTTP/1.1 without proxy,
// redirects are answers and not followed, answers are bounded, addresses are checked when they are
// dialled, and a failure tells whether the request may have arrived. Safe for concurrent use.
type Client struct {
	transport *http.Transport
	round     http.RoundTripper // transport, traced or not
	timeout   time.Duration
	most      int // bytes of an answer
	ignore    bool
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // the first bytes, see MaxAnswer
	Cut    bool   // the body broke off, or took too long
}

// NewClient returns a Client with connections of its own.
func NewClient(options ClientOptions) *Client {
	if options.Timeout <= 0 {
		options.Timeout = 15 * time.Second
	}
	if options.MaxConns <= 0 {
		options.MaxConns = 16
	}
	if options.MaxAnswer <= 0 {
		options.MaxAnswer = MaxAnswer
	}
	dialer := &net.Dialer{Timeout: options.Timeout, KeepAlive: 30 * time.Second}
	if !options.AllowPrivate {
		dialer.Control = refusePrivate
	}
	c := &Client{
		timeout: options.Timeout,
		most:    options.MaxAnswer,
		ignore:  options.IgnoreAnswer,
		transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    options.Timeout,
			MaxConnsPerHost:        options.MaxConns,
			MaxIdleConns:           options.MaxConns,
			MaxIdleConnsPerHost:    options.MaxConns,
			IdleConnTimeout:        30 * time.Second, // before the usual server closes it in our face
			DisableCompression:     true,
			MaxResponseHeaderBytes: MaxAnswer,
			WriteBufferSize:        16 << 10, // an event of 60 keys goes out in one write
		},
	}
	c.round = traced(c.transport, options.Traces)
	return c
}

// refusePrivate sees the address that is about to be dialled, after the name was resolved, so that
// a name cannot promise one address and lead to another.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	if !IsPublic(address) {
		return errPrivate
	}
	return nil
}

var errPrivate = errors.New("address is not public")

// Close closes the connections that wait for a next request.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Do makes one request. An answer of any status is an Answer: Judge says what it means. Without an
// answer the error is Unreachable if not even the head of the request was written, Ambiguous if it
// was, Misconfigured if the address is refused. The error never holds the URL.
func (c *Client) Do(req *http.Request) (Answer, *Error) {
	var written atomic.Bool
	ctx, cancel := context.WithTimeout(req.Context(), c.timeout)
	defer cancel()
	trace := &httptrace.ClientTrace{WroteHeaders: func() { written.Store(true) }}
	req = req.WithContext(httptrace.WithClientTrace(ctx, trace))
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "kvit")
	}
	// RoundTrip and not http.Client: that follows redirects, and puts the URL into its errors.
	res, err := c.round.RoundTrip(req)
	if err != nil {
		return Answer{}, unanswered(err, written.Load())
	}
	defer res.Body.Close()
	body, err := c.read(res.Body)
	return Answer{Status: res.StatusCode, Header: res.Header, Body: body, Cut: err != nil}, nil
}

// Reach connects to the host of an address as Do would, with TLS for https, and sends nothing. The error is as
// Do's and does not hold the address.
func (c *Client) Reach(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return &Error{Kind: Misconfigured, Reason: "the address is not an absolute URL"}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	port := cmp.Or(u.Port(), map[string]string{"http": "80"}[u.Scheme], "443")
	conn, err := c.transport.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return unanswered(err, false)
	}
	defer conn.Close()
	if u.Scheme != "https" {
		return nil
	}
	settings := c.transport.TLSClientConfig.Clone()
	settings.ServerName = u.Hostname()
	if err := tls.Client(conn, settings).HandshakeContext(ctx); err != nil {
		return unanswered(err, false)
	}
	return nil
}

// read takes up to c.most bytes. A body that was read to its end lets the connection be reused;
// asking for one byte more is what finds the end of a body of just that size.
func (c *Client) read(from io.Reader) ([]byte, error) {
	limited := io.LimitReader(from, int64(c.most)+1)
	if c.ignore {
		_, err := io.Copy(io.Discard, limited)
		return nil, err
	}
	body, err := io.ReadAll(limited)
	return body[:min(len(body), c.most)], err
}

// unanswered words the failure of a request. The text of err is not used: it may name the address.
func unanswered(err error, written bool) *Error {
	if errors.Is(err, errPrivate) {
		return &Error{Kind: Misconfigured, Reason: "the address is private or local, which is not allowed"}
	}
	if !written {
		return &Error{Kind: Unreachable, Reason: whyUnreachable(err)}
	}
	return &Error{Kind: Ambiguous, Reason: whyAmbiguous(err)}
}

func whyUnreachable(err error) string {
	var (
		name   *net.DNSError
		record tls.RecordHeaderError
		cert   *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled before the request was written"
	case errors.As(err, &name):
		return "the host name could not be resolved"
	case isTimeout(err):
		return "no connection within the timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &cert):
		return "the TLS certificate is not accepted"
	case errors.As(err, &record):
		return "the server does not speak TLS"
	default:
		return "no connection"
	}
}

func whyAmbiguous(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled while waiting for the answer"
	case isTimeout(err):
		return "no answer within the timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection lost before the answer"
	default:
		return "no usable answer"
	}
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout())
}
