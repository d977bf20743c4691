package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"kvit/erp"
)

// remote is a folder of an SFTP server. It is open for one run.
type remote struct {
	dir     string
	client  *sftp.Client
	ssh     *ssh.Client
	conn    net.Conn
	timeout time.Duration
	stop    func() bool
}

// openRemote connects, logs in and makes sure that the server is the expected one. ctx ends what goes on in the folder, too.
func openRemote(ctx context.Context, server Server, dir string, timeout time.Duration) (folder, error) {
	config, err := server.client(timeout)
	if err != nil {
		return nil, err
	}
	foreign := false
	check := config.HostKeyCallback
	config.HostKeyCallback = func(host string, address net.Addr, key ssh.PublicKey) error {
		err := check(host, address, key)
		foreign = err != nil
		return err
	}
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "tcp", server.Address)
	if err != nil {
		return nil, erp.Fail(erp.Unreachable, "the SFTP server cannot be reached")
	}
	r := &remote{dir: dir, conn: conn, timeout: timeout, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	if err := r.greet(server.Address, config); err != nil {
		r.close()
		return nil, greeting(err, foreign)
	}
	return r, nil
}

func (r *remote) greet(address string, config *ssh.ClientConfig) error {
	r.alive()
	conn, channels, requests, err := ssh.NewClientConn(r.conn, address, config)
	if err != nil {
		return err
	}
	r.ssh = ssh.NewClient(conn, channels, requests)
	r.client, err = sftp.NewClient(r.ssh)
	return err
}

func greeting(err error, foreign bool) error {
	switch {
	case foreign:
		return erp.Fail(erp.Misconfigured, "the SFTP server has another key than sftp.host_key says: it was changed, or somebody else answers")
	case strings.Contains(err.Error(), "unable to authenticate"): // the package has no value for it
		return erp.Fail(erp.Unauthorized, "the SFTP server refuses the user")
	case strings.Contains(err.Error(), "no common algorithm"):
		return erp.Fail(erp.Misconfigured, "the SFTP server has no key of the kind of sftp.host_key, or speaks old algorithms alone")
	}
	return erp.Fail(erp.Unreachable, "the SFTP server does not answer as one")
}

// alive gives the next question its time.
func (r *remote) alive() { _ = r.conn.SetDeadline(time.Now().Add(r.timeout)) } // an error shows at the question

func (r *remote) at(name string) string {
	r.alive()
	return path.Join(r.dir, name)
}

func (r *remote) close() {
	r.stop()
	_ = r.conn.SetDeadline(time.Now().Add(time.Second))
	if r.client != nil {
		_ = r.client.Close() // what it says of the end is of no use
	}
	if r.ssh != nil {
		_ = r.ssh.Close()
	}
	_ = r.conn.Close()
}

func (r *remote) list() ([]entry, error) {
	infos, err := r.client.ReadDir(r.at(""))
	if err != nil {
		return nil, remoteError(err)
	}
	var entries []entry
	for _, info := range infos {
		name := info.Name()
		if info.Mode().IsRegular() && name == path.Base(name) {
			entries = append(entries, entryOf(name, info))
		}
	}
	return entries, nil
}

func (r *remote) read(name string, most int64) ([]byte, entry, error) {
	f, err := r.client.Open(r.at(name))
	if err != nil {
		return nil, entry{}, remoteError(err)
	}
	defer func() { _ = f.Close() }() // it was read only
	data, err := io.ReadAll(io.LimitReader(patient{f, r}, most))
	if err != nil {
		return nil, entry{}, remoteError(err)
	}
	info, err := r.client.Lstat(r.at(name))
	if err != nil {
		return nil, entry{}, remoteError(err)
	}
	return data, entryOf(name, info), nil
}

// patient gives each piece of a file its time.
type patient struct {
	file io.Reader
	r    *remote
}

func (p patient) Read(b []byte) (int, error) {
	p.r.alive()
	return p.file.Read(b)
}

func (r *remote) exists(name string) (bool, error) {
	_, err := r.client.Lstat(r.at(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, remoteError(err)
}

func (r *remote) isFolder(name string) (bool, error) {
	info, err := r.client.Stat(r.at(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.IsDir(), remoteError(err)
}

// rename is that of the protocol's version 3, which fails where the name is taken.
func (r *remote) rename(name, to string) error {
	return remoteError(r.client.Rename(r.at(name), path.Join(r.dir, to)))
}

func (r *remote) write(name string, data []byte) error {
	f, err := r.client.Create(r.at(name))
	if err != nil {
		return remoteError(err)
	}
	_, err = f.Write(data)
	return errors.Join(remoteError(err), f.Close())
}

// remoteError keeps what fs knows, and nothing of the server's text.
func remoteError(err error) error {
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return err
	}
	var status *sftp.StatusError
	if errors.As(err, &status) && status.Code == uint32(sftp.ErrSSHFxFailure) {
		return erp.Fail(erp.Unreachable, "the SFTP server could not do it: a full disk, or a name that is taken")
	}
	return erp.Fail(erp.Unreachable, "the SFTP server did not answer in time, or the connection broke")
}
