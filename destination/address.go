package destination

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// notPublic are the ranges that IsPublic refuses beside those that netip knows: the special-purpose
// registries of IANA (https://www.iana.org/assignments/iana-ipv4-special-registry,
// https://www.iana.org/assignments/iana-ipv6-special-registry) and a cloud's internal service.
var notPublic = prefixes(
	"0.0.0.0/8",
	"100.64.0.0/10",    // carrier-grade NAT, and metadata of one cloud
	"168.63.129.16/32", // Azure's wire server
	"192.0.0.0/24",
	"192.0.2.0/24",
	"192.88.99.0/24",
	"198.18.0.0/15",
	"198.51.100.0/24",
	"203.0.113.0/24",
	"240.0.0.0/4",
	"::/96",          // IPv4-compatible, obsolete
	"64:ff9b:1::/48", // NAT64 of a local network
	"100::/64",
	"2001::/23", // Teredo among others
	"2001:db8::/32",
	"2002::/16", // 6to4
	"3fff::/20",
	"5f00::/16",
	"fec0::/10",
)

// nat64 holds an IPv4 address in its last four bytes (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// IsPublic tells whether an address with port ("192.0.2.1:443", "[2001:db8::1]:443") is one of the
// public internet: not loopback, private, link-local (where clouds serve their metadata), shared,
// multicast, unspecified or reserved, and not such an IPv4 address within an IPv6 one.
func IsPublic(address string) bool {
	dialled, err := netip.ParseAddrPort(address)
	if err != nil {
		return false
	}
	return isPublic(dialled.Addr().WithZone("").Unmap())
}

func isPublic(addr netip.Addr) bool {
	if nat64.Contains(addr) {
		bytes := addr.As16()
		return isPublic(netip.AddrFrom4([4]byte(bytes[12:])))
	}
	for _, prefix := range notPublic {
		if prefix.Contains(addr) {
			return false
		}
	}
	return addr.IsGlobalUnicast() && !addr.IsPrivate()
}

// CheckAddress checks where a provider's API is said to be: https, or http to this machine alone,
// where a stand-in for a provider runs. local is true if it leads to this machine, so that the client
// has to be allowed to connect there; other addresses that are not public are errors here, as they would be
// when they are dialled. The error does not hold the address.
func CheckAddress(address string) (local bool, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return false, errors.New("must be an absolute URL")
	}
	local = isLoopback(u.Hostname())
	switch {
	case u.User != nil:
		return false, errors.New("must not hold a user name or password")
	case u.Scheme != "https" && !(u.Scheme == "http" && local):
		return false, errors.New("must begin with https://")
	case !local && RefusesHost(u.Hostname()):
		return false, errors.New("must not lead to a private or local address")
	}
	return local, nil
}

// RefusesHost tells of a host as a URL names it whether a Client without AllowPrivate would refuse it
// whatever a name server says: an address that is not public, or a name of this machine.
func RefusesHost(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && !IsPublic(netip.AddrPortFrom(addr, 443).String())
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}
