package localpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// oldestMajor is the oldest Postgres that kvit supports.
const oldestMajor = 14

// binaryPlaces are where packages put the server's programs, since most of
// them leave it out of PATH.
var binaryPlaces = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // the PostgreSQL project's RPMs
	"/opt/homebrew/opt/postgresql*/bin",                  // Homebrew on Apple silicon
	"/usr/local/opt/postgresql*/bin",                     // Homebrew on Intel
	"/Library/PostgreSQL/*/bin",                          // EDB's installer for macOS
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
}

// findBinaries returns a directory with postgres and initdb that the account
// can run, of a major version or, for 0, of any that kvit supports: from PATH,
// from the known places, or fetched.
func findBinaries(ctx context.Context, a account, dir string, major int, logger *slog.Logger) (string, error) {
	found, err := firstUsable(ctx, a, dir, major, append(pathBinaries(), placedBinaries(binaryPlaces)...))
	if err == nil {
		return found, nil
	}
	fetched, fetchErr := fetchMajor(ctx, a, dir, major, logger)
	if fetchErr != nil {
		return "", errors.Join(errNoBinaries, err, fetchErr)
	}
	return fetched, nil
}

var errNoBinaries = fmt.Errorf("find Postgres %d or later: there is none to use here, and fetching one did not work;"+
	" install it (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17) and try again", oldestMajor)

// pathBinaries follows links, because postgres looks for its other files
// beside itself.
func pathBinaries() []string {
	postgres, err := exec.LookPath("postgres")
	if err != nil {
		return nil
	}
	postgres, err = filepath.EvalSymlinks(postgres)
	if err != nil {
		return nil
	}
	return []string{filepath.Dir(postgres)}
}

// placedBinaries expands patterns, newest version first.
func placedBinaries(patterns []string) []string {
	var dirs []string
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // its only error is a malformed pattern
		dirs = append(dirs, found...)
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return cmp.Compare(placeVersion(b), placeVersion(a)) })
	return dirs
}

var number = regexp.MustCompile(`[0-9]+`)

// placeVersion is the major version in the name of a place's directory, or 0.
func placeVersion(binDir string) int { return versionOf(filepath.Base(filepath.Dir(binDir))) }

// versionOf is the first number in a text, or 0.
func versionOf(text string) int {
	n, _ := strconv.Atoi(number.FindString(text))
	return n
}

// firstUsable says of every directory it refuses why.
func firstUsable(ctx context.Context, a account, dir string, major int, binDirs []string) (string, error) {
	var errs []error
	for _, binDir := range binDirs {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		err := usable(a, dir, binDir, major)
		if err == nil {
			return binDir, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", binDir, err))
	}
	return "", errors.Join(errs...)
}

// usable runs both programs as the account, since files may be there and yet
// closed to it. They have to be of the major version, unless that is 0.
func usable(a account, dir, binDir string, wanted int) error {
	for _, program := range []string{"postgres", "initdb"} {
		version, err := a.command(dir, filepath.Join(binDir, program), "--version").Output()
		if err != nil {
			return fmt.Errorf("run %s: %w", program, err)
		}
		major := versionOf(string(version))
		if major < oldestMajor {
			return fmt.Errorf("%s is of version %d, too old", program, major)
		}
		if wanted != 0 && major != wanted {
			return fmt.Errorf("%s is of version %d, not %d", program, major, wanted)
		}
	}
	return nil
}
