package files_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"kvit/config"
	"kvit/destination"
	"kvit/erp"
	"kvit/erp/files"
)

// keyPair makes a key as ssh-keygen does: the private one in PEM, the public one in a line.
func keyPair(t *testing.T) (private, public string) {
	t.Helper()
	open, secret, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(secret, "")
	require.NoError(t, err)
	key, err := ssh.NewPublicKey(open)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// startSSHD runs OpenSSH's server for the user of the test, and returns how to log in.
func startSSHD(t *testing.T) files.Server {
	t.Helper()
	if os.Getenv("KVIT_ERPS") == "" {
		t.Skip("OpenSSH's server is tested by `make test-erps`")
	}
	if os.Getuid() == 0 {
		require.NoError(t, os.MkdirAll("/run/sshd", 0o755), "OpenSSH wants it of root")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	hostPrivate, hostPublic := keyPair(t)
	private, public := keyPair(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().(*net.TCPAddr)
	require.NoError(t, l.Close())
	conf := write("sshd_config", fmt.Sprintf(`ListenAddress 127.0.0.1
Port %d
HostKey %s
AuthorizedKeysFile %s
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 100
Subsystem sftp /usr/lib/openssh/sftp-server
`, address.Port, write("host", hostPrivate), write("authorized", public)))
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", conf)
	said := &bytes.Buffer{}
	cmd.Stderr = said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said)
		}
	})
	me, err := user.Current()
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address.String())
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	return files.Server{Address: address.String(), User: me.Username, HostKey: hostPublic, Key: config.NewSecret(private)}
}

// TestOpenSSH: all that holds for a folder of this machine holds for one behind Debian's server.
func TestOpenSSH(t *testing.T) {
	server := startSSHD(t)
	t.Run("Folder", func(t *testing.T) {
		cases(t, func(o *files.Options) { o.Server = server })
	})
	_, other := keyPair(t)
	foreign, _ := keyPair(t)
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	longPublic, err := ssh.NewPublicKey(&long.PublicKey)
	require.NoError(t, err)
	rsaKey := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(longPublic)))
	for name, wrong := range map[string]struct {
		change func(s *files.Server)
		want   erp.ErrorKind
		says   string
	}{
		"another server":   {func(s *files.Server) { s.HostKey = other }, erp.Misconfigured, "has another key than sftp.host_key says"},
		"an RSA key":       {func(s *files.Server) { s.HostKey = rsaKey }, erp.Misconfigured, "has no key of the kind of sftp.host_key"},
		"a foreign key":    {func(s *files.Server) { s.Key = config.NewSecret(foreign) }, erp.Unauthorized, "refuses the user"},
		"a wrong password": {func(s *files.Server) { s.Key, s.Password = config.Secret{}, config.NewSecret("hunter2") }, erp.Unauthorized, "refuses the user"},
		"nobody there":     {func(s *files.Server) { s.Address = "127.0.0.1:1" }, erp.Unreachable, "cannot be reached"},
	} {
		s := server
		wrong.change(&s)
		connector, err := files.Options{Folder: t.TempDir(), Server: s}.Make(erp.Common{})
		require.NoError(t, err)
		_, err = connector.Probe(t.Context())
		require.Equal(t, wrong.want, erp.KindOf(err), "%s: %v", name, err)
		require.ErrorContains(t, err, wrong.says, name)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// TestSilentServer: one that takes connections and says nothing, or nonsense, costs no more than the time limit.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	private, public := keyPair(t)
	s := files.Server{Address: l.Addr().String(), User: "kvit", HostKey: public, Key: config.NewSecret(private)}
	connector, err := files.Options{Folder: "receipts", Server: s}.Make(erp.Common{HTTP: destination.ClientOptions{Timeout: 200 * time.Millisecond}})
	require.NoError(t, err)
	_, err = connector.Probe(t.Context())
	require.Equal(t, erp.Unreachable, erp.KindOf(err), "%v", err)
}
