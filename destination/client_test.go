package destination_test

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

func TestIsPublic(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"93.184.215.14", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.0", "192.169.0.1", "223.255.255.255",
		"[2606:4700::1111]", "[::ffff:1.1.1.1]", "[64:ff9b::1.1.1.1]",
	} {
		require.True(t, destination.IsPublic(host+":443"), host)
	}
	for _, host := range []string{
		"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "203.0.113.9",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"[::]", "[::1]", "[fe80::1]", "[fe80::1%eth0]", "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[2001::1]",
		"[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[64:ff9b::10.0.0.1]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::1]",
		"[2002:7f00:1::]", "example.com", "",
	} {
		require.False(t, destination.IsPublic(host+":443"), host)
	}
}

func TestClientIgnoresTheProxyOfTheEnvironment(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	client := destination.NewClient(destination.ClientOptions{AllowPrivate: true, Timeout: 5 * time.Second})
	t.Cleanup(client.Close)
	_, err := client.Do(get(t, "http://kvit.invalid/"))
	require.NotNil(t, err)
	require.Equal(t, destination.Unreachable, err.Kind)
}

func TestClientDoesNotTrustAnyCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	client := destination.NewClient(destination.ClientOptions{AllowPrivate: true})
	t.Cleanup(client.Close)
	_, err := client.Do(get(t, server.URL))
	require.Equal(t, &destination.Error{Kind: destination.Unreachable, Reason: "the TLS certificate is not accepted"}, err)
}

func TestClientShortensTheAnswer(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{10: 10, destination.MaxAnswer: destination.MaxAnswer, destination.MaxAnswer + 1: destination.MaxAnswer} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", size)) }))
		t.Cleanup(server.Close)
		client := destination.NewClient(destination.ClientOptions{AllowPrivate: true})
		t.Cleanup(client.Close)
		answer, err := client.Do(get(t, server.URL))
		require.Nil(t, err)
		require.Len(t, answer.Body, want)
		require.False(t, answer.Cut)
	}
}

func TestClientCanIgnoreTheAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "text") }))
	t.Cleanup(server.Close)
	client := destination.NewClient(destination.ClientOptions{AllowPrivate: true, IgnoreAnswer: true})
	t.Cleanup(client.Close)
	answer, err := client.Do(get(t, server.URL))
	require.Nil(t, err)
	require.Equal(t, http.StatusOK, answer.Status)
	require.Empty(t, answer.Body)
}

func TestUUIDNeverChanges(t *testing.T) {
	t.Parallel()
	// As Python's uuid.uuid5 has it.
	require.Equal(t, "9a9d6923-47f7-5f50-a3b7-07d717942777", destination.UUID("order_paid:E100042").String())
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	require.EqualError(t, &destination.Error{Code: 422, Reason: "the provider rejected the event"}, "the provider rejected the event (HTTP 422)")
	require.EqualError(t, destination.Reject("%s: is required", "order.ref"), "order.ref: is required")
}

func get(t *testing.T, url string) *http.Request {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return req
}

// What a configuration may name and what is dialled are judged by one function.
func TestClientReachesWhatItWouldSendTo(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it sent a request") }))
	t.Cleanup(server.Close)
	inside := destination.NewClient(destination.ClientOptions{AllowPrivate: true})
	require.NoError(t, inside.Reach(t.Context(), server.URL))

	outside := destination.NewClient(destination.ClientOptions{})
	_, sent := outside.Do(get(t, "https://127.0.0.1:1/"))
	require.Equal(t, destination.Misconfigured, sent.Kind)
	require.Equal(t, sent, outside.Reach(t.Context(), "https://127.0.0.1:1/"))
}

func TestRefusesHost(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"localhost", "LocalHost.", "shop.localhost", "127.0.0.1", "10.1.2.3", "::1", "fe80::1%eth0", "::ffff:192.168.0.1", "169.254.169.254"} {
		require.True(t, destination.RefusesHost(host), host)
		local, err := destination.CheckAddress("https://" + net.JoinHostPort(host, "443"))
		require.True(t, local || err != nil, host)
	}
	for _, host := range []string{"hooks.example.com", "1.1.1.1", "2606:4700::1111", "localhost.example.com"} {
		require.False(t, destination.RefusesHost(host), host)
	}
}

// A private authority is trusted that SSL_CERT_FILE names. Go reads it once a process, so that it takes another.
func TestClientTrustsTheAuthoritiesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "darwin" {
		return // the system's keychain is asked there
	}
	if address := os.Getenv("KVIT_TEST_REACH"); address != "" {
		client := destination.NewClient(destination.ClientOptions{AllowPrivate: true})
		require.NoError(t, client.Reach(t.Context(), address))
		answer, err := client.Do(get(t, address))
		require.Nil(t, err)
		require.Equal(t, http.StatusTeapot, answer.Status)
		return
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(server.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestClientTrustsTheAuthoritiesOfTheEnvironment$")
	again.Env = append(os.Environ(), "KVIT_TEST_REACH="+server.URL, "SSL_CERT_FILE="+authority, "SSL_CERT_DIR="+t.TempDir())
	output, err := again.CombinedOutput()
	require.NoError(t, err, "%s", output)
}
