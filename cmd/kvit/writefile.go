package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile leaves no half of a file, and nothing that others may read: a temporary file, in the same
// folder so that it can be renamed, has mode 0600 from the start.
func writeFile(name string, force bool, write func(io.Writer) error) error {
	if err := mayWrite(name, force); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name()) // gone already if all went well
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if err := mayWrite(name, force); err != nil { // it took a while
		return err
	}
	return os.Rename(f.Name(), name)
}

// mayWrite refuses what is there, unless it is a plain file and force is given: a renamed file would take
// the place of a device or a link.
func mayWrite(name string, force bool) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no plain file", name)
	case !force:
		return fmt.Errorf("%s is there already: --force replaces it", name)
	}
	return nil
}
