package generic

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"kvit/destination"
)

// address is where a request goes: a host that is the same for all events, and a path that may hold values.
type address struct {
	origin string // such as https://api.example.com
	path   template
}

// splitAddress takes an address apart before its path.
func splitAddress(text string) (origin, path string) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text, ""
	}
	host, _, _ := strings.Cut(rest, "/")
	origin = scheme + "://" + host
	return origin, text[len(origin):]
}

// checkAddress words its errors itself: those of url.Parse hold the address.
func checkAddress(text string, allowPrivate bool) error {
	origin, path := splitAddress(text)
	u, err := url.Parse(origin)
	switch {
	case strings.ContainsAny(origin, "{}"):
		return errors.New("must not hold an expression before the path: events cannot choose the host")
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is not an absolute https URL")
	case u.User != nil:
		return errors.New("must not contain a user name or password")
	case u.Scheme == "http" && !allowPrivate:
		return errors.New("must be https (http only with allow_private: true)")
	case strings.ContainsAny(path, "?#"):
		return errors.New("must not contain a query (?) or fragment (#): write parameters under query")
	case !allowPrivate && destination.RefusesHost(u.Hostname()):
		return errors.New("leads to a private or local address, which needs allow_private: true")
	}
	return nil
}

// of gives the address for an event, or why there is none.
func (a address) of(s scope) (written, problem string) {
	path, missing := a.path.write(s, url.PathEscape)
	switch {
	case missing:
		return "", "no value for " + a.path.names()
	case climbs(path):
		return "", "would lead elsewhere by . or .. in " + a.path.names()
	}
	return a.origin + path, ""
}

// climbs tells of a path with a part that stands for another place.
func climbs(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool {
		plain, err := url.PathUnescape(part)
		return err != nil || plain == "." || plain == ".."
	})
}

// isUsable tells whether the path is one, whatever the values.
func (a address) isUsable() bool {
	path := ""
	for _, p := range a.path.parts {
		path += p.literal
		if p.expr != nil {
			path += "x"
		}
	}
	_, err := url.Parse(a.origin + path)
	return err == nil && !climbs(path)
}
