package localpg

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is the user that Postgres runs as.
type account struct {
	name       string
	credential *syscall.Credential // nil: whoever we are
}

// unprivileged picks the account: Postgres refuses to run as root, so root
// steps down to a user that every Debian and macOS has.
func unprivileged() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := parseID(u.Uid)
		gid, gidErr := parseID(u.Gid)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, fmt.Errorf("look up user %s: %w", name, err)
		}
		return account{name: name, credential: &syscall.Credential{Uid: uid, Gid: gid}}, nil
	}
	return account{}, errors.New("postgres does not run as root, and there is no user postgres or nobody to run it as")
}

// parseID reads a user or group id; on macOS those of nobody are -2.
func parseID(s string) (uint32, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	return uint32(id), err
}

// own gives a file or directory to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return os.Chown(path, int(a.credential.Uid), int(a.credential.Gid))
}

// command makes a command that runs as the account, in dir: our own working
// directory may be closed to it. It leads a process group, so that Ctrl-C at
// the terminal reaches us and not Postgres behind our back. Its environment is
// fixed: PGDATA, PGPORT, LC_ALL and the like of the caller must not matter, and
// Postgres on macOS refuses to start without a locale.
func (a account) command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: a.credential}
	return cmd
}

// enters reports an error if the account cannot enter dir.
func (a account) enters(dir string) error {
	if err := a.command(dir, "/bin/sh", "-c", ":").Run(); err != nil {
		return fmt.Errorf("enter it as %s, the user that postgres runs as: %w", cmp.Or(a.name, "the current user"), err)
	}
	return nil
}
