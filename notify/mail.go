package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	gomail "github.com/wneessen/go-mail"

	"kvit/config"
	"kvit/status"
	"kvit/store"
)

// mailer sends mail, a connection each.
type mailer struct {
	settings config.Mail
	options  []gomail.Option
	tls      *tls.Config
	domain   string // of From
}

func newMailer(c config.Channel) (*mailer, error) {
	m := &mailer{settings: *c.Mail}
	from, err := mail.ParseAddress(m.settings.From)
	if err != nil {
		return nil, errors.New("from: is not a mail address")
	}
	m.domain = from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	m.tls = &tls.Config{ServerName: m.settings.Host, MinVersion: tls.VersionTLS12}
	if m.settings.CA != "" {
		if m.tls.RootCAs, err = readCA(m.settings.CA); err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
	}
	m.options = []gomail.Option{gomail.WithPort(m.settings.Port), gomail.WithTimeout(sendTimeout), gomail.WithTLSConfig(m.tls), gomail.WithTLSPolicy(gomail.TLSMandatory)}
	switch m.settings.TLS {
	case config.None:
		m.options = append(m.options, gomail.WithTLSPolicy(gomail.NoTLS))
	case config.TLSImplicit:
		m.options = append(m.options, gomail.WithSSL())
	}
	if m.settings.User != "" {
		m.options = append(m.options, gomail.WithUsername(m.settings.User), gomail.WithPassword(m.settings.Password.Reveal()), gomail.WithSMTPAuth(m.login()))
	}
	_, err = gomail.NewClient(m.settings.Host, m.options...)
	return m, err
}

// login is the best that the server offers. Without encryption, on this machine, that would leave out what most servers have.
func (m *mailer) login() gomail.SMTPAuthType {
	if m.settings.TLS == config.None {
		return gomail.SMTPAuthPlainNoEnc
	}
	return gomail.SMTPAuthAutoDiscover
}

func readCA(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.New("the file cannot be read")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("the file has no certificate in PEM form")
	}
	return pool, nil
}

// Reach connects and logs in.
func (m *mailer) Reach(ctx context.Context) error {
	return m.connected(ctx, func(*gomail.Client) error { return nil })
}

// Send sends one mail to all recipients, or to none.
func (m *mailer) Send(ctx context.Context, message Message) (answer string, err error) {
	letter, err := m.letter(message)
	if err != nil {
		return "", err
	}
	err = m.connected(ctx, func(client *gomail.Client) error { return client.Send(letter) })
	if letter.IsDelivered() { // whatever went wrong afterwards
		return "SMTP: " + oneLine(letter.ServerResponse()), nil
	}
	if err == nil {
		err = errors.New("the server has not said that it takes the mail")
	}
	return "", err
}

// connected does something with a connection that is encrypted, where that is asked for, and logged in.
func (m *mailer) connected(ctx context.Context, do func(*gomail.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	var line line
	options := m.options
	if m.settings.TLS != config.TLSImplicit { // the library takes only its own connections for encrypted ones
		options = append(slices.Clone(options), gomail.WithDialContextFunc(line.dial))
	}
	client, err := gomail.NewClient(m.settings.Host, options...)
	if err != nil {
		return errors.New("the settings cannot be used")
	}
	defer line.hangUp()
	defer context.AfterFunc(ctx, line.hangUp)()
	if err := client.DialWithContext(ctx); err != nil {
		return whyNoMail(ctx, err, "connecting")
	}
	if err := do(client); err != nil {
		return whyNoMail(ctx, err, "sending")
	}
	_ = client.Close() // what was sent was taken
	return nil
}

// line is a connection that can be ended from outside: the library leaves one open whose greeting has failed, and looks at ctx
// only while it dials.
type line struct {
	conn atomic.Pointer[net.Conn]
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		l.conn.Store(&conn)
	}
	return conn, err
}

func (l *line) hangUp() {
	if conn := l.conn.Load(); conn != nil {
		_ = (*conn).Close()
	}
}

func (m *mailer) letter(message Message) (*gomail.Msg, error) {
	letter := gomail.NewMsg()
	if letter.From(m.settings.From) != nil || letter.To(m.settings.To...) != nil {
		return nil, errors.New("from or to is not a mail address")
	}
	letter.Subject(message.head())
	letter.SetUserAgent("kvit")
	letter.SetDate()
	letter.SetMessageIDWithValue(message.ID + "@" + m.domain)
	if message.First != message.ID {
		thread := "<" + message.First + "@" + m.domain + ">"
		letter.SetGenHeader(gomail.HeaderInReplyTo, thread)
		letter.SetGenHeader(gomail.HeaderReferences, thread)
	}
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // no out-of-office replies
	if message.Severity == status.Critical && message.What != store.AlarmResolved {
		letter.SetImportance(gomail.ImportanceHigh)
	}
	letter.SetBodyString(gomail.TypeTextPlain, strings.Join(message.lines(), "\n\n")+"\n")
	return letter, nil
}

// whyNoMail words what went wrong. The text of err is not used: servers repeat addresses in theirs.
func whyNoMail(ctx context.Context, err error, doing string) error {
	if code, enhanced := smtpCode(err); code != 0 {
		return errors.New(strings.TrimRight(fmt.Sprintf("SMTP %d %s", code, enhanced), " ") + whatCodeMeans(code) + " while " + doing)
	}
	var (
		name     *net.DNSError
		record   tls.RecordHeaderError
		cert     *tls.CertificateVerificationError
		deadline interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &name):
		return errors.New("the host name could not be resolved")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused")
	case errors.As(err, &cert):
		return errors.New("the TLS certificate is not accepted")
	case errors.As(err, &record):
		return errors.New("the server does not speak TLS")
	case strings.Contains(err.Error(), "does not support STARTTLS"):
		return errors.New("the server does not offer STARTTLS, and nothing is sent without")
	case strings.Contains(err.Error(), "does not support SMTP AUTH"), errors.Is(err, gomail.ErrNoSupportedAuthDiscovered):
		return errors.New("the server offers no login that is safe here")
	case ctx.Err() != nil, errors.As(err, &deadline) && deadline.Timeout():
		return errors.New("no answer within the timeout")
	default:
		return errors.New("the server does not speak SMTP as it should, or the connection was lost, while " + doing)
	}
}

func smtpCode(err error) (code int, enhanced string) {
	var sent *gomail.SendError
	if errors.As(err, &sent) && sent.ErrorCode() != 0 {
		return sent.ErrorCode(), sent.EnhancedStatusCode()
	}
	var said *textproto.Error
	if errors.As(err, &said) {
		return said.Code, ""
	}
	return 0, ""
}

func whatCodeMeans(code int) string {
	switch code {
	case 530, 534, 535, 538:
		return ": user or password is not accepted"
	case 550, 553:
		return ": the sender or a recipient is not accepted"
	default:
		return ""
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
