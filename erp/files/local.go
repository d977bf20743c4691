package files

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"kvit/erp"
)

// local is a folder of this machine. Links that lead out of it are not followed.
type local struct{ root *os.Root }

func openLocal(path string) (folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return local{root}, nil
}

func (l local) close() { _ = l.root.Close() } // nothing was written through it

func (l local) list() ([]entry, error) {
	dir, err := l.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // it was read only
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, name := range names {
		info, err := l.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			entries = append(entries, entryOf(name, info))
		}
	}
	return entries, nil
}

func entryOf(name string, info fs.FileInfo) entry {
	return entry{name: name, size: info.Size(), changed: info.ModTime()}
}

func (l local) read(name string, most int64) ([]byte, entry, error) {
	f, err := l.root.Open(name)
	if err != nil {
		return nil, entry{}, err
	}
	defer func() { _ = f.Close() }() // it was read only
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, entry{}, err
	}
	info, err := l.root.Lstat(name)
	if err != nil {
		return nil, entry{}, err
	}
	return data, entryOf(name, info), nil
}

func (l local) exists(name string) (bool, error) {
	_, err := l.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (l local) isFolder(name string) (bool, error) {
	info, err := l.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.IsDir(), err
}

func (l local) rename(name, to string) error { return l.root.Rename(name, to) }

func (l local) write(name string, data []byte) error {
	f, err := l.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// failed makes an erp.Error of whatever went wrong with files. Names of files stay out of it.
func failed(err error) error {
	var own *erp.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, fs.ErrPermission):
		return erp.Fail(erp.Unauthorized, "the folder, or a file in it, may not be read or moved: rights are missing")
	case errors.Is(err, fs.ErrNotExist):
		return erp.Fail(erp.Misconfigured, "the folder is not there")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return erp.Fail(erp.Unreachable, "the server did not answer in time")
	}
	return erp.Fail(erp.Unreachable, "the folder cannot be reached, or the connection broke")
}
