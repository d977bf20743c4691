package config

import (
	"encoding/base64"
	"net/mail"
	"slices"
	"strings"
)

// Channel is a way to tell somebody of alarms (one key under "notify").
type Channel struct {
	Name         string // lower case, at most 40 characters
	Kind         string // webhook, slack, teams or mail
	Label        string // what stands first in each message; default kvit
	CriticalOnly bool   // severity: critical; default all alarms

	URL            Secret // of webhook, slack and teams; whoever has that of the latter two may write there
	Secret         Secret // of webhook: whsec_ and the base64 of 24 to 64 bytes
	PreviousSecret Secret // of webhook: signs as well while it is set
	AllowPrivate   bool   // of webhook, slack and teams: may be http, and lead to an address that is not public

	Mail *Mail // of mail; otherwise nil

	Line int // where the file names it
}

// Mail is a server that takes mail, and for whom.
type Mail struct {
	Host     string
	Port     int    // default 587, or 465 with TLSImplicit
	TLS      string // TLSStart, TLSImplicit, or None: only on this machine
	CA       string // file of PEM certificates that vouch for the server, instead of the system's; empty: the system's
	User     string // empty: no login
	Password Secret
	From     string // an address, with or without a name
	To       []string
}

// How a connection to a mail server becomes encrypted: by STARTTLS, without which nothing is sent, or from its first byte.
const (
	TLSStart    = "starttls"
	TLSImplicit = "implicit"
)

// The kinds of channels.
const (
	WebhookChannel = "webhook"
	SlackChannel   = "slack"
	TeamsChannel   = "teams"
	MailChannel    = "mail"
)

var (
	channelName = Matches(`[a-z][a-z0-9_-]{0,39}`,
		"is not the name of a channel (lower-case letters, digits, _ and -, at most 40, beginning with a letter)")
	hostName = Matches(`[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9a-fA-F:.]{2,45}`,
		"is not the name or address of a host, without a port")
	shortText = Matches(`.{1,60}`, "is longer than 60 characters")
)

func readChannels(top *Section) []Channel {
	s := top.Section("notify")
	var all []Channel
	for _, name := range s.names {
		if problem := channelName(name); problem != "" {
			s.Problem(name, problem)
			continue
		}
		all = append(all, readChannel(s.Section(name), name))
	}
	slices.SortFunc(all, func(a, b Channel) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func readChannel(s *Section, name string) Channel {
	c := Channel{Name: name, Line: s.line}
	if !s.Require("kind") {
		return c // what else belongs here depends on the kind
	}
	c.Kind = s.Choice("kind", "", WebhookChannel, SlackChannel, TeamsChannel, MailChannel)
	switch c.Kind {
	case MailChannel:
		c.Mail = readMail(s)
	case WebhookChannel:
		c.readSigned(s)
	case SlackChannel, TeamsChannel:
		c.AllowPrivate = s.Boolean("allow_private", false)
		c.URL = s.RequiredSecret("url", c.hookURL())
	default:
		return c
	}
	c.Label = s.Text("label", "kvit", OneLine, shortText)
	c.CriticalOnly = s.Choice("severity", "warning", "warning", "critical") == "critical"
	s.Finish()
	return c
}

func (c *Channel) readSigned(s *Section) {
	c.AllowPrivate = s.Boolean("allow_private", false)
	c.URL = NewSecret(s.RequiredText("url", c.hookURL()))
	c.Secret = s.RequiredSecret("secret", webhookSecret)
	c.PreviousSecret = s.Secret("previous_secret", webhookSecret)
	if c.PreviousSecret.IsSet() && c.PreviousSecret.Reveal() == c.Secret.Reveal() {
		s.Problem("previous_secret", "is the same as secret")
	}
}

func (c *Channel) hookURL() Check {
	return HTTPURL(func(string) bool { return c.AllowPrivate }, "http only with allow_private: true")
}

func webhookSecret(text string) string {
	encoded, prefixed := strings.CutPrefix(text, "whsec_")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !prefixed || err != nil || len(raw) < 24 || len(raw) > 64 {
		return "is not whsec_ followed by the base64 of 24 to 64 bytes"
	}
	return ""
}

func readMail(s *Section) *Mail {
	m := &Mail{
		Host: s.RequiredText("host", hostName),
		TLS:  s.Choice("tls", TLSStart, TLSStart, TLSImplicit, None),
		CA:   s.Text("ca", "", absolutePath),
		User: s.Text("user", "", OneLine), Password: s.Secret("password"),
		From: s.RequiredText("from", mailAddress),
	}
	m.Port = s.Integer("port", map[string]int{TLSImplicit: 465}[m.TLS], 1, 65535)
	if m.Port == 0 {
		m.Port = 587
	}
	if s.Require("to") {
		m.To = s.Texts("to", mailAddress)
	}
	m.check(s)
	return m
}

func (m *Mail) check(s *Section) {
	if m.TLS == None && m.Host != "" && !loopback(m.Host) {
		s.Problem("tls", "may be none only for a server on this machine itself")
	}
	if m.TLS == None && m.CA != "" {
		s.Problem("ca", "is of no use with tls: none")
	}
	if s.Has("user") && !s.Has("password") {
		s.Problem("password", "is missing beside user")
	}
	if s.Has("password") && !s.Has("user") {
		s.Problem("user", "is missing beside password")
	}
}

func mailAddress(text string) string {
	if _, err := mail.ParseAddress(text); err != nil || OneLine(text) != "" {
		return "is not a mail address, as in ops@shop.example.com or Shop <ops@shop.example.com>"
	}
	return ""
}
