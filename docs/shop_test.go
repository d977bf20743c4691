package docs_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/destination/spread/spreadtest"
	"kvit/destination/webhook/webhooktest"
	"kvit/store/localpg"
	"kvit/store/storetest"
)

const (
	crmURL     = "https://crm.example.com/hooks/kvit" // as the README has it
	crmSecret  = "whsec_ZXhhbXBsZS1vbmx5LXNpZ25pbmcta2V5LTMyYnl0ZXM="
	publicKey  = "example-public-key"
	privateKey = "example-private-key"
	patience   = time.Minute
)

// shop is the example shop on a server of its own, for roles belong to the whole server.
type shop struct {
	server *localpg.Server
	dir    string        // of kvit and its kvit.yaml
	login  *url.Userinfo // as whom kvit connects; nil: the superuser
}

// newShop makes the shop's tables, and the roles that a shop and its people have.
func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{server: storetest.OwnServer(t), dir: t.TempDir()}
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", s.dir, "../cmd/kvit").CombinedOutput()
	require.NoError(t, err, "%s", output)
	s.execOn(t, "postgres", "", `create database shop`)
	s.exec(t, "", read(t, "deploy/compose/shop.sql"))
	s.exec(t, "", `
		create role webshop login;
		create role erp_connector login;
		create role oncall login;
		grant select, insert, update on all tables in schema public to webshop`)
	return s
}

func (s *shop) exec(t *testing.T, role, sql string) {
	t.Helper()
	s.execOn(t, "shop", role, sql)
}

func (s *shop) execOn(t *testing.T, database, role, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.server.URL(database))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	if role != "" {
		_, err = conn.Exec(ctx, `set role `+pgx.Identifier{role}.Sanitize())
		require.NoError(t, err)
	}
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll() // several statements, as psql takes them
	require.NoError(t, err, "%s", sql)
}

func (s *shop) run(t *testing.T, b block) {
	t.Helper()
	t.Logf("%s: %s", b.file, b.text)
	s.exec(t, b.as, b.text)
}

// write puts kvit.yaml in place.
func (s *shop) write(t *testing.T, yaml string) {
	t.Helper()
	if !strings.Contains(yaml, "ops:") {
		yaml += "\nops: {listen: \"off\"}\n" // tests run side by side
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "kvit.yaml"), []byte(yaml), 0o600))
}

// configOf is the configuration that the README shows.
func configOf(t *testing.T) string {
	t.Helper()
	for _, b := range blocks(t, "README.md") {
		if b.language == "yaml" {
			return b.text
		}
	}
	t.Fatal("the README has no kvit.yaml")
	return ""
}

// command prepares a program as the steps run it: kvit is in the PATH, the secrets are in the environment.
func (s *shop) command(ctx context.Context, t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	database, err := url.Parse(s.server.URL("shop"))
	require.NoError(t, err)
	if s.login != nil {
		database.User = s.login
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Env = []string{"PATH=" + s.dir + ":/usr/bin:/bin", "DATABASE_URL=" + database.String()}
	for _, name := range []string{"SPREAD_PUBLIC_KEY", "SPREAD_PRIVATE_KEY", "CRM_URL", "CRM_SECRET"} {
		cmd.Env = append(cmd.Env, name+"="+environment(name))
	}
	return cmd
}

// kvit runs a command to its end and returns what it printed.
func (s *shop) kvit(t *testing.T, args ...string) string {
	t.Helper()
	return s.shell(t, "kvit "+strings.Join(args, " "))
}

func (s *shop) shell(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	output, err := s.command(ctx, t, "/bin/sh", "-e", "-c", script).CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, output)
	return string(output)
}

// daemon runs kvit run until the test ends, and then waits for it. It returns once that leads: before, kvit status would rightly say
// that nobody does.
func (s *shop) daemon(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := s.command(ctx, t, filepath.Join(s.dir, "kvit"), "run")
	var log bytes.Buffer
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it ends by our signal
		if t.Failed() {
			t.Logf("%s", log.String())
		}
	})
	require.Eventually(t, func() bool { return s.holds(t, `select exists (select from kvit.river_leader)`) }, patience, 50*time.Millisecond)
}

var commands = regexp.MustCompile(`\A(kvit .*\n)+\z`)

// TestTenSteps goes through the README's steps as they stand, with stand-ins for the two destinations:
// the event reaches both, and the order is marked.
func TestTenSteps(t *testing.T) {
	t.Parallel()
	spread := spreadtest.New(publicKey, privateKey, nil)
	spreadServer := httptest.NewServer(spread)
	t.Cleanup(spreadServer.Close)
	crm, err := webhooktest.New(nil, crmSecret)
	require.NoError(t, err)
	crmServer := httptest.NewServer(crm)
	t.Cleanup(crmServer.Close)
	here := strings.NewReplacer(
		crmURL, crmServer.URL,
		"deduplicates: true\n", "deduplicates: true\n    allow_private: true\n",
		"validate_on: paid\n", "validate_on: paid\n    base_url: "+spreadServer.URL+"\n",
	)
	s := newShop(t)
	s.login = url.UserPassword("kvit", "change-me")
	for _, b := range blocks(t, "README.md") {
		switch {
		case b.language == "sql":
			s.run(t, b)
		case b.language == "yaml":
			s.write(t, here.Replace(b.text))
		case b.text == "kvit run\n":
			s.daemon(t)
		case commands.MatchString(b.text):
			t.Logf("%s%s", b.text, s.shell(t, b.text))
		}
	}
	require.Eventually(t, func() bool {
		order, known := spread.Order("E100042")
		return known && order.Amount == "749.00" && len(crm.Events()) == 1 && s.marked(t, "E100042")
	}, patience, 50*time.Millisecond)
	require.Empty(t, spread.Refusals())
}

func (s *shop) marked(t *testing.T, ref string) bool {
	t.Helper()
	return s.holds(t, `select exists (select from kvit.order_status where order_ref = $1 and erp_order_number = 'SO-101005')`, ref)
}

// holds answers a question of yes or no.
func (s *shop) holds(t *testing.T, question string, args ...any) (yes bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.server.URL("shop"))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	require.NoError(t, conn.QueryRow(ctx, question, args...).Scan(&yes))
	return yes
}

// TestCompose checks kvit.yaml of compose.yaml against its example shop, as the role that it makes for kvit.
func TestCompose(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, roles, _ := strings.Cut(read(t, "deploy/compose/roles.sh"), "<<'SQL'\n")
	roles, _, _ = strings.Cut(roles, "SQL\n")
	s.exec(t, "", strings.NewReplacer(":'password'", "'change-me'", `:"DBNAME"`, "shop").Replace(roles))
	s.login = url.UserPassword("kvit", "change-me")
	s.write(t, read(t, "deploy/compose/kvit.yaml"))
	s.kvit(t, "migrate", "up")
	checked := s.kvit(t, "check", "--offline") // its receiver is an example, which check would connect to
	require.Contains(t, checked, "ok")
	require.NotContains(t, checked, "database", "kvit's role is no superuser, and owns no more than it needs")
}
