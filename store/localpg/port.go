package localpg

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports that no system hands out by itself: ephemeral ports begin at 32768 on
// Linux and at 49152 on macOS. From an ephemeral port a client that keeps
// dialling a stopped server can connect to itself, and the server cannot start
// again.
const (
	firstPort = 20000
	lastPort  = 32000
)

// freePort returns a port of 127.0.0.1 that was free a moment ago.
func freePort() (int, error) {
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, err
		}
		return port, nil
	}
	return 0, errors.New("find a free port for postgres: 100 in a row are taken")
}
