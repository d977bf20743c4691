package store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/localpg"
	"kvit/store/storetest"
)

// A database whose certificate comes from a private authority: sslrootcert names it, verify-full asks for it.
func TestPrivateAuthorityOfTheDatabase(t *testing.T) {
	t.Parallel()
	major, err := storetest.Major()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "server")
	enterable(t, filepath.Dir(dir))
	s, err := localpg.Start(t.Context(), localpg.Options{Dir: dir, Major: major, Settings: map[string]string{"fsync": "off"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	certificate, key := certify(t)
	data := filepath.Join(dir, "data")
	give(t, data, "server.crt", certificate)
	give(t, data, "server.key", key)
	admin := connect(t, s.URL("postgres"))
	mustExec(t, admin, `alter system set ssl = on`)
	mustExec(t, admin, `select pg_reload_conf()`)
	eventually(t, admin, `select setting = 'on' from pg_settings where name = 'ssl'`)

	authority, other := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "other.pem")
	require.NoError(t, os.WriteFile(authority, certificate, 0o600))
	stranger, _ := certify(t)
	require.NoError(t, os.WriteFile(other, stranger, 0o600))
	require.NoError(t, ping(t, verified(t, s, authority)))
	require.ErrorContains(t, ping(t, verified(t, s, other)), "certificate")
}

func verified(t *testing.T, s *localpg.Server, authority string) string {
	t.Helper()
	u, err := url.Parse(s.URL("postgres"))
	require.NoError(t, err)
	u.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {authority}}.Encode()
	return u.String()
}

func ping(t *testing.T, url string) error {
	t.Helper()
	pool, err := store.Open(t.Context(), store.Options{URL: url, MaxConnections: 4})
	require.NoError(t, err)
	defer pool.Close()
	var encrypted bool
	err = pool.QueryRow(t.Context(), `select ssl from pg_stat_ssl where pid = pg_backend_pid()`).Scan(&encrypted)
	require.True(t, err != nil || encrypted)
	return err
}

// certify makes a certificate of 127.0.0.1 that is its own authority.
func certify(t *testing.T) (certificate, key []byte) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kvit's tests"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(secret)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

// give writes a file that belongs to whoever has the folder.
func give(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	info, err := os.Stat(dir)
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	require.NoError(t, os.Chown(path, int(owner.Uid), int(owner.Gid)))
}

// enterable lets the user that Postgres runs as into the test's folder.
func enterable(t *testing.T, dir string) {
	t.Helper()
	for ; dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o711))
	}
}
