package files

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"

	"kvit/config"
	"kvit/erp"
)

// Kind is a folder with receipts, as kvit.yaml names it.
var Kind = config.Kind{Name: "files", ERP: &config.ERPDefaults{Poll: time.Minute}, Read: erp.Reader(readOptions)}

// Options are where the files lie, and how they are read.
type Options struct {
	Folder   string         // with done and bad in it; absolute, but on a server
	Settle   time.Duration  // how long a file must not have changed; 0: it is whole as soon as it has its name
	TimeZone *time.Location // of times that tell none; nil: not known
	Server   Server         // without an address: the folder is of this machine
}

// Server is an SFTP server.
type Server struct {
	Address  string // host:port
	User     string
	HostKey  string        // as in known_hosts, without the host: ssh-ed25519 AAAA...
	Key      config.Secret // a private key in PEM, without a passphrase
	Password config.Secret
}

func readOptions(s *config.Section) Options {
	o := Options{Folder: s.RequiredText("folder", config.OneLine)}
	o.Settle = s.Duration("settle", time.Minute, 0, 24*time.Hour)
	if name := s.Text("time_zone", "", config.TimeZone); name != "" {
		o.TimeZone, _ = time.LoadLocation(name) // the check has told of an error
	}
	o.Server = readServer(s.Section("sftp"))
	if !s.Has("sftp") && !s.Faulty("folder") && !s.Faulty("sftp") && !filepath.IsAbs(o.Folder) {
		s.Problem("folder", "must be an absolute path, unless it is on an SFTP server")
	}
	return o
}

func readServer(s *config.Section) Server {
	if !s.Present() {
		return Server{}
	}
	defer s.Finish()
	server := Server{
		Address: s.RequiredText("address", hostAndPort), User: s.RequiredText("user", config.OneLine),
		HostKey: s.RequiredText("host_key", publicKey), Password: s.Secret("password"),
	}
	if s.Has("key") {
		server.Key = s.RequiredSecretText("key", privateKey)
	}
	if !s.Has("key") && !s.Has("password") {
		s.ProblemHere("needs key or password")
	}
	return server
}

func hostAndPort(text string) string {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return "is not host:port, as in sftp.example.com:22"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "is not host:port, as in sftp.example.com:22"
	}
	return ""
}

func publicKey(text string) string {
	if _, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(text)); err != nil || len(rest) > 0 {
		return "is no public key such as ssh-ed25519 AAAA...: `ssh-keyscan HOST` shows it, and the server's operator confirms it"
	}
	return ""
}

func privateKey(text string) string {
	_, err := ssh.ParsePrivateKey([]byte(text))
	var sealed *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &sealed):
		return "has a passphrase, which nobody is there to type: make a key without one, for this alone"
	case err != nil:
		return "is no private key in PEM, as ssh-keygen writes it"
	}
	return ""
}

// client is how to log in. Only the key of the configuration is taken for the server's.
func (s Server) client(timeout time.Duration) (*ssh.ClientConfig, error) {
	hostKey, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.HostKey))
	if err != nil {
		return nil, erp.Fail(erp.Misconfigured, "sftp.host_key is no public key")
	}
	c := &ssh.ClientConfig{
		User: s.User, HostKeyCallback: ssh.FixedHostKey(hostKey), HostKeyAlgorithms: algorithms(hostKey.Type()),
		ClientVersion: "SSH-2.0-kvit", Timeout: timeout,
	}
	if s.Key.IsSet() {
		signer, err := ssh.ParsePrivateKey([]byte(s.Key.Reveal()))
		if err != nil {
			return nil, erp.Fail(erp.Misconfigured, "sftp.key is no private key")
		}
		c.Auth = append(c.Auth, ssh.PublicKeys(signer))
	}
	if s.Password.IsSet() {
		c.Auth = append(c.Auth, ssh.Password(s.Password.Reveal()))
	}
	return c, nil
}

// algorithms are those by which a server can show a key of this kind: otherwise it may show another of its keys.
func algorithms(kind string) []string {
	if kind == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{kind}
}

// Make makes the connector. It neither connects nor looks into the folder.
func (o Options) Make(common erp.Common) (erp.Connector, error) {
	timeout := common.HTTP.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	in := &Inbox{options: o, meter: common.Meter, now: common.Now, seen: map[string]sighting{}}
	if in.now == nil {
		in.now = time.Now
	}
	in.open = func(ctx context.Context) (folder, error) {
		if o.Server.Address == "" {
			return openLocal(o.Folder)
		}
		return openRemote(ctx, o.Server, o.Folder, timeout)
	}
	return in, nil
}
