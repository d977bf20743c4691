package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Anchor is how far the chain of certificates went when kvit last looked. It is kept in a file beside
// the database: a database that has gone back behind it was restored from a backup. The zero value
// knows of no certificate.
type Anchor struct {
	Number int64     `json:"number"` // of the last certificate; 0: there was none
	Hash   string    `json:"hash"`   // of the last certificate; empty: there was none
	At     time.Time `json:"at"`     // when kvit looked
}

// Missing tells whether a database is older than the anchor. last is the number of its last certificate,
// and hash that of its certificate with the anchor's number: after a restore other orders may have been
// erased, so that the number is there again and stands for something else.
func (a Anchor) Missing(last int64, hash string) bool {
	return a.Number > 0 && (last < a.Number || hash != a.Hash)
}

// errNoAnchor says that a file holds something else. What, is not told.
var errNoAnchor = errors.New("the file is damaged, or no anchor of kvit's")

// ReadAnchor reads the file. One that does not exist is the zero Anchor and no error; an error names the
// file.
func ReadAnchor(path string) (Anchor, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Anchor{}, nil
	}
	if err != nil {
		return Anchor{}, fmt.Errorf("read anchor: %w", err)
	}
	a, err := parseAnchor(text)
	if err != nil {
		return Anchor{}, fmt.Errorf("read anchor %s: %w", path, err)
	}
	return a, nil
}

var hexSum = regexp.MustCompile(`^[0-9a-f]{64}$`)

func parseAnchor(text []byte) (Anchor, error) {
	var a Anchor
	if err := json.Unmarshal(text, &a); err != nil {
		return Anchor{}, errNoAnchor
	}
	none := a.Number == 0 && a.Hash == ""
	some := a.Number > 0 && hexSum.MatchString(a.Hash)
	if a.At.IsZero() || !none && !some {
		return Anchor{}, errNoAnchor
	}
	return a, nil
}

// WriteAnchor replaces the file as a whole: whoever reads it meanwhile, or after a crash, finds the old
// anchor or the new one. Only the owner can read it, who is the owner of the folder if root writes: a
// command run by root must not take the file from the daemon. An error names the file.
func WriteAnchor(path string, a Anchor) error {
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("write anchor: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write anchor: %w", err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name()) // gone already if all went well
	}()
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, giveToOwner(f), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write anchor: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write anchor: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// giveToOwner makes the file, if it is root's, the folder owner's.
func giveToOwner(f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	folder, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	owner, ok := folder.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// syncFolder makes the new name last.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("write anchor: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("write anchor: %w", err)
	}
	return nil
}
