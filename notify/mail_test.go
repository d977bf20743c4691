package notify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/notify"
)

// post is a mail server that takes what comes to ops@example.com after a login as kvit.
type post struct {
	port int
	ca   string // file

	mu      sync.Mutex
	letters []letter
}

type letter struct {
	from string
	to   []string
	text string
}

// newPost starts one. Its certificate is signed by nobody else.
func newPost(t *testing.T, change func(*smtp.Server)) *post {
	t.Helper()
	p := &post{ca: filepath.Join(t.TempDir(), "ca.pem")}
	certificate := selfSigned(t, p.ca)
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{post: p}, nil }))
	server.Domain, server.TLSConfig = "mail.example.com", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if change != nil {
		change(server)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.port = listener.Addr().(*net.TCPAddr).Port
	if server.Domain == "implicit" {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return p
}

func selfSigned(t *testing.T, file string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kvit test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// session is one conversation.
type session struct {
	post   *post
	user   string
	letter letter
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "kvit" || password != "right" {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.user == "" {
		return smtp.ErrAuthRequired
	}
	s.letter = letter{from: from}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if to == "unknown@example.com" {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user here: " + to}
	}
	s.letter.to = append(s.letter.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.letter.text = string(text)
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.post.letters = append(s.post.letters, s.letter)
	return nil
}

func (s *session) Reset()        { s.letter = letter{} }
func (s *session) Logout() error { return nil }

func (p *post) taken() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]letter{}, p.letters...)
}

func (p *post) channel(change func(*config.Mail)) config.Channel {
	m := &config.Mail{
		Host: "127.0.0.1", Port: p.port, TLS: config.TLSStart, CA: p.ca, User: "kvit", Password: config.NewSecret("right"),
		From: "kvit <kvit@shop.example.com>", To: []string{"ops@example.com", "Night <night@example.com>"},
	}
	if change != nil {
		change(m)
	}
	return config.Channel{Name: "post", Kind: config.MailChannel, Label: "shop-dk", Mail: m}
}

func TestMail(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), newPost(t, nil)
	kvit := w.process("a", p.channel(nil))
	w.disabled("crm")
	w.rounds(2, kvit)
	w.disabled()
	w.rounds(3, kvit)
	letters := p.taken()
	require.Len(t, letters, 2)
	opened, resolved := read(t, letters[0]), read(t, letters[1])
	require.Equal(t, "kvit@shop.example.com", letters[0].from)
	require.Equal(t, []string{"ops@example.com", "night@example.com"}, letters[0].to)
	require.Equal(t, "[shop-dk] CRITICAL: DISABLED BY RECEIVER: crm", opened.Header.Get("Subject"))
	require.Equal(t, "[shop-dk] resolved: DISABLED BY RECEIVER: crm", resolved.Header.Get("Subject"))
	require.Equal(t, "auto-generated", opened.Header.Get("Auto-Submitted"))
	require.Equal(t, opened.Header.Get("Message-ID"), resolved.Header.Get("In-Reply-To"), "a mail program shows them together")
	require.NotEqual(t, opened.Header.Get("Message-ID"), resolved.Header.Get("Message-ID"))
	require.Contains(t, opened.Header.Get("Content-Type"), "text/plain")
	body, err := io.ReadAll(opened.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "kvit resume crm")
	require.Contains(t, string(body), "docs/operations.md#kvitdestinationdisabled")
}

func read(t *testing.T, l letter) *netmail.Message {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(l.text))
	require.NoError(t, err)
	return m
}

func TestMailTellsWhatCameBack(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	sender, err := notify.NewSender(p.channel(nil))
	require.NoError(t, err)
	require.NoError(t, sender.Reach(t.Context()))
	require.Empty(t, p.taken(), "to reach it is to send nothing")
	answer, err := sender.Send(t.Context(), notify.TestMessage("kvit", "id", time.Now()))
	require.NoError(t, err)
	require.Contains(t, answer, "SMTP: 2.0.0 OK")
	require.Len(t, p.taken(), 1)
}

func TestMailEncryptedFromTheStart(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(s *smtp.Server) { s.Domain = "implicit" })
	sender, err := notify.NewSender(p.channel(func(m *config.Mail) { m.TLS = config.TLSImplicit }))
	require.NoError(t, err)
	_, err = sender.Send(t.Context(), notify.TestMessage("kvit", "id", time.Now()))
	require.NoError(t, err)
	require.Len(t, p.taken(), 1)
}

// What goes wrong is said without addresses, passwords or the server's words.
func TestMailThatIsNotTaken(t *testing.T) {
	t.Parallel()
	whole := newPost(t, nil)
	plain := newPost(t, func(s *smtp.Server) { s.TLSConfig, s.AllowInsecureAuth = nil, true })
	elsewhere := filepath.Join(t.TempDir(), "other.pem")
	selfSigned(t, elsewhere)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	for name, test := range map[string]struct {
		at     *post
		change func(*config.Mail)
		want   string
	}{
		"Password":  {whole, func(m *config.Mail) { m.Password = config.NewSecret("marker") }, "SMTP 535: user or password is not accepted while connecting"},
		"NoLogin":   {whole, func(m *config.Mail) { m.User, m.Password = "", config.Secret{} }, "SMTP 502 5.7.0 while sending"},
		"Recipient": {whole, func(m *config.Mail) { m.To = []string{"ops@example.com", "unknown@example.com"} }, "SMTP 550 5.1.1: the sender or a recipient is not accepted while sending"},
		"CA":        {whole, func(m *config.Mail) { m.CA = elsewhere }, "the TLS certificate is not accepted"},
		"SystemsCA": {whole, func(m *config.Mail) { m.CA = "" }, "the TLS certificate is not accepted"},
		"NoTLS":     {plain, nil, "the server does not offer STARTTLS, and nothing is sent without"},
		"WrongTLS":  {whole, func(m *config.Mail) { m.TLS = config.TLSImplicit }, "the server does not speak TLS"},
		"Nobody":    {whole, func(m *config.Mail) { m.Port = 1 }, "connection refused"},
		"NoHost":    {whole, func(m *config.Mail) { m.Host = "mail.invalid" }, "the host name could not be resolved"},
		"Silence":   {whole, func(m *config.Mail) { m.Port = silent.Addr().(*net.TCPAddr).Port }, "no answer within the timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sender, err := notify.NewSender(test.at.channel(test.change))
			require.NoError(t, err)
			ctx := t.Context()
			if name == "Silence" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Second)
				defer cancel()
			}
			_, err = sender.Send(ctx, notify.TestMessage("kvit", "id", time.Now()))
			require.EqualError(t, err, test.want)
		})
	}
	t.Cleanup(func() {
		require.Empty(t, whole.taken())
		require.Empty(t, plain.taken())
	})
}

// A connection without encryption is only for this machine, and carries no password unless the server is there, too.
func TestMailInTheClear(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(s *smtp.Server) { s.TLSConfig, s.AllowInsecureAuth = nil, true })
	sender, err := notify.NewSender(p.channel(func(m *config.Mail) { m.TLS, m.CA = config.None, "" }))
	require.NoError(t, err)
	_, err = sender.Send(t.Context(), notify.TestMessage("kvit", "id", time.Now()))
	require.NoError(t, err)
	require.Len(t, p.taken(), 1)
}

// A mail that was taken is not sent again because the server hangs up without a word.
func TestMailServerThatHangsUpAfterwards(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), newPost(t, func(s *smtp.Server) {
		inner := s.Backend
		s.Backend = smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
			made, err := inner.NewSession(c)
			return &rude{session: made.(*session), conn: c}, err
		})
	})
	kvit := w.process("a", p.channel(nil))
	w.disabled("crm")
	w.rounds(4, kvit)
	require.Len(t, p.taken(), 1)
	require.Empty(t, kvit.log.text.String())
}

// rude closes the connection when it is to forget what it has taken.
type rude struct {
	*session
	conn *smtp.Conn
}

func (r *rude) Reset() {
	if len(r.post.taken()) > 0 && r.letter.text != "" {
		_ = r.conn.Conn().Close()
	}
	r.session.Reset()
}
