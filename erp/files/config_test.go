package files_test

import (
	"crypto/ed25519"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/erp/files"
)

const head = `shop:
  orders: {table: orders, ref: ref, placed_at: placed_at}
erp:
  receipts:
    kind: files
`

func TestConfiguration(t *testing.T) {
	t.Parallel()
	private, public := keyPair(t)
	read := func(text string) files.Options {
		cfg, err := config.Parse("kvit.yaml", []byte(head+text), func(name string) string {
			return map[string]string{"KEY": private, "DATABASE_URL": "postgres://kvit@db.example.com/shop"}[name]
		}, []config.Kind{files.Kind})
		require.NoError(t, err)
		return cfg.ERPs[0].Settings.(files.Options)
	}
	require.Equal(t, files.Options{Folder: "/var/lib/kvit/receipts", Settle: time.Minute}, read("    folder: /var/lib/kvit/receipts\n"))
	o := read("    folder: receipts\n    settle: 0s\n    time_zone: Europe/Copenhagen\n    sftp: {address: \"sftp.example.com:22\", user: kvit, host_key: " + public + ", key: \"${KEY}\"}\n")
	require.Equal(t, "Europe/Copenhagen", o.TimeZone.String())
	require.Zero(t, o.Settle)
	require.Equal(t, "sftp.example.com:22", o.Server.Address)
	require.Equal(t, public, o.Server.HostKey)
	require.Equal(t, private, o.Server.Key.Reveal())
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	_, secret, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	sealed, err := ssh.MarshalPrivateKeyWithPassphrase(secret, "", []byte("a passphrase"))
	require.NoError(t, err)
	of := func(text string) string {
		env := configtest.Environment{"SEALED": string(pem.EncodeToMemory(sealed)), "NO_KEY": "hunter2"}
		return strings.Join(configtest.Mistakes(t, files.Kind, head+text, env), "\n")
	}
	require.Contains(t, of("    settle: 1m\n"), "erp.receipts.folder: is missing")
	require.Contains(t, of("    folder: receipts\n"), "erp.receipts.folder: must be an absolute path, unless it is on an SFTP server")
	said := of("    folder: receipts\n    sftp: {address: sftp.example.com}\n")
	require.Contains(t, said, "erp.receipts.sftp.address: is not host:port")
	require.Contains(t, said, "erp.receipts.sftp.user: is missing")
	require.Contains(t, said, "erp.receipts.sftp.host_key: is missing")
	require.Contains(t, said, "erp.receipts.sftp: needs key or password")
	said = of("    folder: receipts\n    sftp: {address: \"h:0\", user: kvit, host_key: AAAA, key: \"${NO_KEY}\"}\n")
	require.Contains(t, said, "erp.receipts.sftp.address: is not host:port")
	require.Contains(t, said, "erp.receipts.sftp.host_key: is no public key such as ssh-ed25519 AAAA...")
	require.Contains(t, said, "erp.receipts.sftp.key: is no private key in PEM")
	require.NotContains(t, said, "hunter2")
	require.Contains(t, of("    folder: receipts\n    sftp: {key: \"${SEALED}\"}\n"), "erp.receipts.sftp.key: has a passphrase")
}
