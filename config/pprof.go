package config

import (
	"net"
	"net/netip"
)

// defaultPprofListen is where profiles are served unless ops.pprof_listen says otherwise.
const defaultPprofListen = "127.0.0.1:6060"

// readPprof gives the address on which profiles are served, "" unless ops.pprof is true. Profiles tell what the process does and
// how it was started, so that no address is taken that another machine could reach.
func readPprof(ops *Section) string {
	listen := ops.Text("pprof_listen", defaultPprofListen, loopbackAddress)
	if !ops.Boolean("pprof", false) {
		return "" // the address may stay in the file: one line switches it on and off
	}
	return listen
}

// loopbackAddress takes addresses alone, and no names: what a name means is another's to say.
func loopbackAddress(text string) string {
	if text == ListenOff || listenAddress(text) != "" {
		return "is not host:port"
	}
	host, _, _ := net.SplitHostPort(text)
	if address, err := netip.ParseAddr(host); err != nil || !address.IsLoopback() {
		return "must be on 127.0.0.1 or [::1]: profiles are for this machine alone"
	}
	return ""
}
