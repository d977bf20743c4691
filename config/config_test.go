package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	signingKey = "whsec_ZXhhbXBsZS1vbmx5LXNpZ25pbmcta2V5LTMyYnl0ZXM="
	otherKey   = "whsec_YW5vdGhlci1leGFtcGxlLXNpZ25pbmcta2V5LTAwMQ=="
)

// environment holds what the texts of these tests name.
var environment = map[string]string{
	"PG":          "postgres://kvit:pg-marker@db.example.com/shop",
	"PUBLIC":      "public-marker",
	"PRIVATE":     "private-marker",
	"HOOK":        signingKey,
	"HOOK_OLD":    otherKey,
	"BROKEN_HOOK": "hook marker",
	"ACCOUNT":     "{\n}",
	"TWO_LINES":   "line-marker\nline-marker",
	"COLON":       "colon-marker:colon-marker",
	"ZONE":        "Asia/Tokyo",
	"LONG_TOKEN":  "0123456789abcdef0123456789abcdef",
	"SHORT_TOKEN": "0123456789abcdef0123456789abcde",
	"ZONE_ID":     "zone-1",
}

func getenv(name string) string { return environment[name] }

// withDatabase is getenv with $DATABASE_URL set.
func withDatabase(name string) string {
	if name == "DATABASE_URL" {
		return environment["PG"]
	}
	return getenv(name)
}

// parse reads a text that has nothing wrong.
func parse(t *testing.T, text string) Config {
	t.Helper()
	cfg, err := Parse("kvit.yaml", []byte(text), withDatabase, testKinds)
	require.NoError(t, err)
	return cfg
}

// mistakes reads a text that has something wrong and returns it line by line.
func mistakes(t *testing.T, text string, env func(string) string) []string {
	t.Helper()
	_, err := Parse("kvit.yaml", []byte(text), env, testKinds)
	var problems *Errors
	require.ErrorAs(t, err, &problems)
	return strings.Split(err.Error(), "\n")
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	cfg := parse(t, `
shop:
  orders: {table: orders, ref: a, placed_at: b, imported_at: c, erp_number: d, erased_at: e}
destinations:
  zulu: {kind: post, url: "https://hooks.example.com/x", secret: "${HOOK}", sealed: true}
  alpha: {kind: till, public_key: "${PUBLIC}", private_key: "${PRIVATE}"}
`)
	require.Equal(t, environment["PG"], cfg.Database.URL.Reveal())
	require.Equal(t, 20, cfg.Database.MaxConnections)
	require.True(t, cfg.Database.Notify)
	require.False(t, cfg.Database.ReadURL.IsSet())
	require.Equal(t, 10*time.Second, cfg.Database.ReadMaxLag)
	require.Equal(t, Log{Level: slog.LevelInfo, Format: "auto"}, cfg.Log)
	require.Equal(t, Ops{Listen: "127.0.0.1:8080"}, cfg.Ops)
	require.Equal(t, Delivery{Timeout: 30 * time.Second}, cfg.Delivery)
	require.Equal(t, &Shop{Orders: Orders{Table: "public.orders", Ref: "a", PlacedAt: "b", ImportedAt: "c",
		ERPNumber: "d", ErasedAt: "e", AwaitingImport: "true"}}, cfg.Shop)
	require.Equal(t, Retention{Schedule: "30 3 * * *", TimeZone: "UTC", EraseAfterImport: 30 * day,
		AlarmUnimportedAfter: 4 * time.Hour, EventsAfter: 30 * day, ReceiptsAfter: 400 * day, Brake: Brake{MaxOrders: 10_000, MaxShare: 0.2, MaxEventShare: 0.5},
		Residue:   Residue{Orders: 3, Time: time.Minute},
		BatchTime: 200 * time.Millisecond, BatchOrders: 1000, MaxReplicaLag: 10 * time.Second}, cfg.Retention)
	require.Equal(t, []Destination{
		{
			Name: "alpha", Kind: "till", Enabled: true, Consent: "marketing", Concurrency: 5,
			Timeout: 15 * time.Second, RetryFor: 72 * time.Hour, Line: 6,
			Settings: &till{
				PublicKey: NewSecret("public-marker"), PrivateKey: NewSecret("private-marker"),
				Mode: "quick", Trigger: "usual", BaseURL: "https://till.example.com",
			},
		},
		{
			Name: "zulu", Kind: "post", Enabled: true, Consent: "analytics", Concurrency: 16, Rate: 80,
			Timeout: 15 * time.Second, RetryFor: 72 * time.Hour, Line: 5,
			Settings: &post{URL: "https://hooks.example.com/x", Secret: NewSecret(signingKey), Sealed: true},
		},
	}, cfg.Destinations)
}

func TestEveryValueCanBeSet(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `
database: {url: "${PG}", read_url: "postgres://reader@standby.example.com/shop", read_max_lag: 1m, max_connections: 7, notify: false, engine: postgres}
log: {level: debug, format: json}
ops: {listen: off}
delivery: {timeout: 5s, keep_jobs: 24h}
destinations:
  hook:
    kind: post
    url: http://127.0.0.1:9999/in
    secret: ${HOOK}
    sealed: true
    enabled: false
    consent: none
    events: [order_paid, "custom:gift card", custom:*]
    concurrency: 1000
    rate: none
    retry_for: 0
    max_age: 1d12h
  till:
    kind: till
    public_key: ${PUBLIC}
    private_key: ${PRIVATE}
    account: ${ACCOUNT}
    mode: slow
    trigger: none
    tags: [a, b]
    fields: {327: group, "12": "${ZONE_ID}"}
    base_url: http://localhost:8081/
    events: {search: off}
shop:
  orders: {table: orders, ref: a, placed_at: b, imported_at: c, erp_number: d, erased_at: e, email: f, customer_id: g, awaiting_import: "status = 'paid'"}
retention:
  schedule: "@every 5m"
  time_zone: Europe/Copenhagen
  erase_after_import: 1s
  erase_never_imported_after: 2m
  alarm_unimported_after: 1m
  clocks:
    cancelled: {when: "status = 'cancelled'", since: updated_at, erase_after: 14d}
    cart_2: {when: "${ZONE}", erase_after: 1s}
  events_after: 2d
  receipts_after: 4d
  brake: {max_orders: 5, max_share: 0.05, max_event_share: 0.25}
  residue: {orders: 0, time: 5s}
  batch_time: 10ms
  batch_orders: 1
  max_replica_lag: 100ms
  anchor: /var/lib/kvit/anchor.json
`[1:])
	require.Equal(t, 7, cfg.Database.MaxConnections)
	require.False(t, cfg.Database.Notify)
	require.Equal(t, "postgres://reader@standby.example.com/shop", cfg.Database.ReadURL.Reveal())
	require.Equal(t, time.Minute, cfg.Database.ReadMaxLag)
	require.Equal(t, Log{Level: slog.LevelDebug, Format: "json"}, cfg.Log)
	require.Equal(t, ListenOff, cfg.Ops.Listen)
	require.Equal(t, Delivery{Timeout: 5 * time.Second, KeepJobs: 24 * time.Hour}, cfg.Delivery)

	hook := cfg.Destinations[0]
	require.Equal(t, &post{URL: "http://127.0.0.1:9999/in", Secret: NewSecret(signingKey), Sealed: true}, hook.Settings)
	require.False(t, hook.Enabled)
	require.Equal(t, None, hook.Consent)
	require.Equal(t, []string{"order_paid", "custom:gift card", "custom:*"}, hook.Events)
	require.Equal(t, 1000, hook.Concurrency)
	require.Equal(t, 2500*time.Millisecond, hook.Timeout, "half of a short delivery.timeout")
	require.Zero(t, hook.Rate)
	require.Zero(t, hook.RetryFor)
	require.Equal(t, 36*time.Hour, *hook.MaxAge)

	require.Equal(t, &till{
		PublicKey: NewSecret("public-marker"), PrivateKey: NewSecret("private-marker"), Account: NewSecret("{\n}"), Mode: "slow",
		Tags: []string{"a", "b"}, Fields: map[string]string{"327": "group", "12": "zone-1"}, BaseURL: "http://localhost:8081",
	}, cfg.Destinations[1].Settings)
	require.Equal(t, map[string]string{"search": ""}, cfg.Destinations[1].EventNames)

	require.Equal(t, Retention{Schedule: "@every 5m", TimeZone: "Europe/Copenhagen", EraseAfterImport: time.Second,
		EraseNeverImportedAfter: 2 * time.Minute, AlarmUnimportedAfter: time.Minute,
		Clocks: []Clock{
			{Line: 38, Name: "cancelled", When: "status = 'cancelled'", Since: "updated_at", EraseAfter: 14 * 24 * time.Hour},
			{Line: 39, Name: "cart_2", When: "Asia/Tokyo", Since: "b", EraseAfter: time.Second},
		},
		EventsAfter: 48 * time.Hour, ReceiptsAfter: 96 * time.Hour, Brake: Brake{MaxOrders: 5, MaxShare: 0.05, MaxEventShare: 0.25},
		Residue:   Residue{Orders: 0, Time: 5 * time.Second},
		BatchTime: 10 * time.Millisecond, BatchOrders: 1, MaxReplicaLag: 100 * time.Millisecond, Anchor: "/var/lib/kvit/anchor.json",
	}, cfg.Retention)
	require.Equal(t, []string{"f", "g"}, []string{cfg.Shop.Orders.Email, cfg.Shop.Orders.CustomerID})
}

// TestZeroSwitchesOff shows that a limit can be taken away, whole or in part.
func TestZeroSwitchesOff(t *testing.T) {
	t.Parallel()
	r := parse(t, "retention: {alarm_unimported_after: 0, max_replica_lag: 0, brake: {max_orders: 0, max_share: 0, max_event_share: 0}, erase_never_imported_after: 1s}").Retention
	require.Equal(t, []any{time.Duration(0), time.Duration(0), Brake{}, time.Second},
		[]any{r.AlarmUnimportedAfter, r.MaxReplicaLag, r.Brake, r.EraseNeverImportedAfter})
	require.Equal(t, Brake{MaxOrders: 10_000, MaxShare: 1, MaxEventShare: 0.5}, parse(t, "retention: {brake: {max_share: 1}}").Retention.Brake)
}

// TestWhoPlacedTheOrderMayBeErased shows that the columns by which a person's orders are found are the policy's business.
func TestWhoPlacedTheOrderMayBeErased(t *testing.T) {
	t.Parallel()
	named := strings.Replace(policy, "erased}", "erased, email: email, customer_id: customer}", 1)
	cfg := parse(t, named+"    - table: orders\n      columns: {email: null, customer: {text: erased}}\n")
	require.Len(t, cfg.Retention.Policy[0].Columns, 2)
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `
shop:
  orders: {table: Sales.Orders, ref: a, placed_at: b, imported_at: c, erp_number: d, erased_at: e}
retention:
  policy:
    - table: Sales.Orders
      columns: {a: keep, Name: null, email: {text: erased}, note: {text: ""}}
    - table: lines
      match: {order_id: id}
      rows: delete
`)
	require.Equal(t, []TablePolicy{
		{Line: 6, Table: "Sales.Orders", Columns: []ColumnPolicy{
			{Line: 7, Name: "a", Strategy: StrategyKeep},
			{Line: 7, Name: "Name", Strategy: StrategyNull},
			{Line: 7, Name: "email", Strategy: StrategyText, Text: "erased"},
			{Line: 7, Name: "note", Strategy: StrategyText},
		}},
		{Line: 8, Table: "public.lines", Match: []Match{{Column: "order_id", OrderColumn: "id"}}, DeleteRows: true},
	}, cfg.Retention.Policy)
}

func TestBlockText(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `
shop:
  orders:
    table: orders
    ref: a
    placed_at: b
    imported_at: c
    erp_number: d
    erased_at: e
    awaiting_import: |-
      status = 'paid'
      and not test
`)
	require.Equal(t, "status = 'paid'\nand not test", cfg.Shop.Orders.AwaitingImport)
}

func TestEmptySectionsAreDefaults(t *testing.T) {
	t.Parallel()
	require.Equal(t, parse(t, ""), parse(t, "\ufeff# nothing yet\nlog:\n  # level: debug\ndestinations: {}\n"))
}

func TestDatabaseURL(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }

	t.Run("OverriddenByVariable", func(t *testing.T) {
		t.Parallel()
		cfg := parse(t, "database: {url: \"${UNSET}\"}")
		require.Equal(t, environment["PG"], cfg.Database.URL.Reveal())
	})
	for name, url := range map[string]string{
		"Socket":    "postgres:///shop?host=/run/postgresql",
		"UserOnly":  "postgresql://kvit@db.example.com/shop",
		"Hosts":     "postgres://kvit@a.example.com:5432,b.example.com:5433/shop",
		"Pairs":     "host=/run/postgresql dbname=shop user=kvit",
		"PairQuote": "host=db.example.com dbname='my shop'",
	} {
		t.Run("Literal"+name, func(t *testing.T) {
			t.Parallel()
			cfg, err := Parse("kvit.yaml", []byte("database:\n  url: "+url), none, testKinds)
			require.NoError(t, err)
			require.Equal(t, url, cfg.Database.URL.Reveal())
		})
	}
	for name, url := range map[string]string{
		"URL":   "postgres://kvit:pg-marker@db.example.com/shop",
		"Query": "postgres:///shop?password=pg-marker",
		"Key":   "postgres:///shop?sslpassword=pg-marker",
		"Pairs": "host=db.example.com password=pg-marker",
		"Upper": "host=db.example.com PASSWORD = 'pg-marker'",
	} {
		t.Run("LiteralPasswordIn"+name, func(t *testing.T) {
			t.Parallel()
			const want = "kvit.yaml:2: database.url: holds a password, so it must be ${NAME} as a whole, or file:/path: " +
				"a secret does not belong into this file"
			text := "database:\n  url: " + url
			require.Equal(t, []string{want}, mistakes(t, text, none))
			require.Equal(t, []string{want}, mistakes(t, text, withDatabase), "even where $DATABASE_URL goes first")
		})
	}
	t.Run("BadVariable", func(t *testing.T) {
		t.Parallel()
		bad := func(string) string { return "mysql://kvit:pg-marker@db.example.com" }
		require.Equal(t, []string{"kvit.yaml:1: database.url: $DATABASE_URL is neither a postgres:// URL nor a key=value connection string"},
			mistakes(t, "", bad))
	})
	t.Run("Missing", func(t *testing.T) {
		t.Parallel()
		const problem = "database.url: is missing: write it here or set $DATABASE_URL"
		require.Equal(t, []string{"kvit.yaml:1: " + problem}, mistakes(t, "", none))
		require.Equal(t, []string{"kvit.yaml:2: " + problem}, mistakes(t, "log: {}\ndatabase: {notify: true}", none))
	})
}

func TestSecretFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	read := func(path string) (Config, error) {
		text := "destinations:\n  d: {kind: till, public_key: \"${PUBLIC}\", private_key: \"file:" + path + "\"}"
		return Parse("kvit.yaml", []byte(text), withDatabase, testKinds)
	}

	cfg, err := read(write("good", "file-marker\r\n"))
	require.NoError(t, err)
	require.Equal(t, "file-marker", cfg.Destinations[0].Settings.(*till).PrivateKey.Reveal())

	for path, problem := range map[string]string{
		filepath.Join(dir, "absent"): "the secret file cannot be read: no such file or directory",
		dir:                          "the secret file is not a regular file",
		"/dev/zero":                  "the secret file is not a regular file",
		"relative":                   "file: needs an absolute path, as in file:/run/secrets/name",
		write("empty", "\n"):         "is empty",
		write("lines", "a\nb\n"):     "contains a line break or another control character",
		write("large", strings.Repeat("x", maxSecretBytes+1)): "the secret file is larger than 64 KiB",
	} {
		_, err := read(path)
		require.EqualError(t, err, "kvit.yaml:2: destinations.d.private_key: "+problem)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kvit.yaml")
	_, err := Load(path, withDatabase, testKinds)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, path)

	require.NoError(t, os.WriteFile(path, []byte("log: {level: warn}"), 0o600))
	cfg, err := Load(path, withDatabase, testKinds)
	require.NoError(t, err)
	require.Equal(t, slog.LevelWarn, cfg.Log.Level)

	require.NoError(t, os.WriteFile(path, []byte("log: {levl: warn}"), 0o600))
	_, err = Load(path, withDatabase, testKinds)
	require.EqualError(t, err, path+`:1: log.levl: is not a known key: did you mean "level"?`)

	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("# x\n", maxFileBytes)), 0o600))
	_, err = Load(path, withDatabase, testKinds)
	require.EqualError(t, err, path+":1: the file is larger than 256 KiB")
}

func TestLoadWithout(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kvit.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(shopLines + "log: {level: warn}\ndestinations: {a: {}}\nretention: {schedule: daily, policy: [{table: orders, columns: {name: review}}]}\n")
	_, err := Load(path, withDatabase, testKinds)
	require.Error(t, err)
	cfg, err := LoadWithout(path, withDatabase, testKinds, "retention", "destinations")
	require.NoError(t, err)
	require.Equal(t, slog.LevelWarn, cfg.Log.Level)
	require.Equal(t, "public.orders", cfg.Shop.Orders.Table)
	require.Equal(t, "30 3 * * *", cfg.Retention.Schedule, "a default, for the file's own does not count")
	require.Empty(t, cfg.Destinations)

	write("retention: {}\nlog: {level: loud}\nretentoin: {}\n")
	_, err = LoadWithout(path, withDatabase, testKinds, "retention")
	require.EqualError(t, err, path+":2: log.level: must be debug, info, warn or error\n"+path+":3: retentoin: is not a known key: did you mean \"retention\"?")
}

// Without columns of its own for them, kvit keeps the marks.
func TestOrdersWithoutMarks(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(`
database: {url: "${DATABASE_URL}"}
shop:
  orders: {table: orders, ref: a, placed_at: b, time_zone: Europe/Copenhagen}
retention:
  policy:
    - {table: orders, rows: keep}
`), withDatabase, testKinds)
	require.NoError(t, err)
	require.Equal(t, Orders{Table: "public.orders", Ref: "a", PlacedAt: "b", AwaitingImport: "true", TimeZone: "Europe/Copenhagen"}, cfg.Shop.Orders)
	require.True(t, cfg.Retention.Policy[0].KeepRows)
}
