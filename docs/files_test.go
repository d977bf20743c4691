package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

var (
	commandInHelp = regexp.MustCompile(`(?m)^  ([a-z]+) +[A-Z]`)
	commandInText = regexp.MustCompile("`kvit ([a-z]+)")
	commandInCode = regexp.MustCompile(`(?m)^kvit ([a-z]+)`)
)

// TestCommands: every command is told of, and every command that is told of exists.
func TestCommands(t *testing.T) {
	t.Parallel()
	help, err := exec.CommandContext(t.Context(), "go", "run", "../cmd/kvit", "--help").Output()
	require.NoError(t, err)
	commands := firstGroups(commandInHelp, string(help))
	require.Contains(t, commands, "run")
	var told []string
	for _, file := range markdown(t) {
		told = append(told, firstGroups(commandInText, read(t, file))...)
		for _, b := range blocks(t, file) {
			told = append(told, firstGroups(commandInCode, b.text)...)
		}
	}
	for _, command := range commands {
		if command != "help" && command != "version" {
			require.Contains(t, told, command, "documented")
		}
	}
	for _, command := range told {
		require.Contains(t, commands, command, "exists")
	}
}

// TestFlags: the flags of every command that is shown exist. With --help, no command does more than read them.
func TestFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "../cmd/kvit").CombinedOutput()
	require.NoError(t, err, "%s", output)
	tried := 0
	for _, file := range markdown(t) {
		for _, b := range blocks(t, file) {
			if b.language != "sh" {
				continue
			}
			for _, line := range strings.Split(b.text, "\n") {
				if line = strings.TrimSpace(line); !strings.HasPrefix(line, "kvit ") {
					continue
				}
				tried++
				command, _, _ := strings.Cut(line, " >")
				cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", command+" --help")
				cmd.Env = []string{"PATH=" + dir}
				output, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s: %s\n%s", file, line, output)
			}
		}
	}
	require.Positive(t, tried)
}

// TestMakeTargets: make help tells of every target but those that only serve others.
func TestMakeTargets(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	phony := strings.Fields(firstGroups(regexp.MustCompile(`(?m)^\.PHONY: (.*)$`), makefile)[0])
	told := firstGroups(regexp.MustCompile(`@echo 'make ([a-z-]+)`), makefile)
	require.ElementsMatch(t, phony, append(told, "help", "prerequisites"))
}

// TestDockerfile: what it copies is in the build's context, and its Go is of the minor version of go.mod.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	dockerfile := read(t, "Dockerfile")
	ignored := strings.Fields(read(t, ".dockerignore"))
	copied := 0
	for _, m := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(dockerfile, -1) {
		for _, file := range strings.Fields(m[1]) {
			copied++
			require.FileExists(t, filepath.Join(root, file, dirProof(file)))
			require.NotContains(t, ignored, file)
		}
	}
	require.Positive(t, copied)
	require.NotContains(t, ignored, "cmd")
	goVersion := firstGroups(regexp.MustCompile(`(?m)^go (\d+\.\d+)`), read(t, "go.mod"))[0]
	require.Contains(t, dockerfile, "FROM golang:"+goVersion+".")
	require.Contains(t, dockerfile, `HEALTHCHECK`)
	require.Contains(t, dockerfile, `CMD ["/kvit", "health"]`)
}

// TestImagesAreNamedByDigest: a tag can be moved to another image, a digest cannot.
func TestImagesAreNamedByDigest(t *testing.T) {
	t.Parallel()
	images := append(firstGroups(regexp.MustCompile(`(?m)^FROM (\S+)`), read(t, "Dockerfile")),
		firstGroups(regexp.MustCompile(`(?m)^ +image: (\S+)`), read(t, "compose.yaml"))...)
	named := 0
	for _, image := range images {
		if image == "kvit" { // built here
			continue
		}
		named++
		require.Regexp(t, `^[a-z0-9./-]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}$`, image)
	}
	require.Equal(t, 3, named)
}

// dirProof is a file that makes FileExists answer for a directory.
func dirProof(file string) string {
	if file == "." {
		return "go.mod"
	}
	return ""
}

type composeFile struct {
	Services map[string]struct {
		Image   string   `yaml:"image"`
		Build   string   `yaml:"build"`
		Volumes []string `yaml:"volumes"`
		Command []string `yaml:"command"`
	} `yaml:"services"`
}

// TestComposeFiles: compose.yaml mounts files that exist, and env.example sets what it wants.
func TestComposeFiles(t *testing.T) {
	t.Parallel()
	text := read(t, "compose.yaml")
	var compose composeFile
	require.NoError(t, yaml.Unmarshal([]byte(text), &compose))
	require.Contains(t, compose.Services, "kvit")
	require.Contains(t, compose.Services["postgres"].Image, "postgres:17@")
	mounts := 0
	for _, service := range compose.Services {
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if strings.HasPrefix(source, "./") {
				mounts++
				require.FileExists(t, filepath.Join(root, source))
			}
		}
	}
	require.GreaterOrEqual(t, mounts, 2)
	example := read(t, "deploy/compose/env.example")
	for _, name := range firstGroups(regexp.MustCompile(`\$\{([A-Z_]+)`), text) {
		require.Regexp(t, `(?m)^`+name+`=.`, example)
	}
}

// TestScripts: what is run by its name may be run.
func TestScripts(t *testing.T) {
	t.Parallel()
	for _, script := range []string{".ci/run", "deploy/install.sh", "deploy/compose/roles.sh"} {
		info, err := os.Stat(filepath.Join(root, script))
		require.NoError(t, err)
		require.NotZero(t, info.Mode()&0o100, script)
		shell, _, _ := strings.Cut(read(t, script), "\n")
		checker := "sh"
		if strings.HasSuffix(shell, "bash") {
			checker = "bash"
		}
		output, err := exec.CommandContext(t.Context(), checker, "-n", filepath.Join(root, script)).CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
}

// TestUnitIsNarrow has systemd judge the unit, where there is systemd: 0 is a service that may do nothing, 10 one
// that may do all. What is left is what kvit does: it connects to addresses, and to Postgres' socket.
func TestUnitIsNarrow(t *testing.T) {
	t.Parallel()
	unit := read(t, "deploy/kvit.service")
	for _, line := range []string{"UMask=0077", "LimitCORE=0", "PrivateUsers=yes", "DevicePolicy=closed", "DynamicUser=yes"} {
		require.Contains(t, unit, "\n"+line+"\n")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return
	}
	output, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--threshold=13", "../deploy/kvit.service").CombinedOutput()
	require.NoError(t, err, "%s", output)
}
