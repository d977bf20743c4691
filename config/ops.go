package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Ops is the HTTP listener for operators (key "ops").
type Ops struct {
	Listen string // host:port, or ListenOff; default 127.0.0.1:8080
	// ERPReceiptsToken is what a sender of receipts shows at POST /erp/receipts; not set: nobody can send any.
	ERPReceiptsToken Secret
	StatusToken      Secret // what a program shows at GET /status.json; not set: none can read it
	Users            []User // of the pages; none, and no OIDC: there are no pages
	PublicURL        string // by which browsers come to the pages: scheme, host and port, no slash at its end; "": not known
	OIDC             *OIDC  // nil: passwords are the only way to log in
	TLS              *TLS   // nil: plain HTTP
	BehindProxy      int    // proxies that end TLS and add to X-Forwarded-For; default 0: none, 0 to 9
	Pprof            string // host:port on loopback where profiles are served; "", the default: nowhere
}

// User may log in to the pages.
type User struct {
	Name         string
	PasswordHash Secret // bcrypt, as kvit password prints it
	Operates     bool   // role operate; false: role read
}

// TLS is the certificate of the listener. Both files are PEM.
type TLS struct {
	Cert string // path: the certificate and those that vouch for it
	Key  string // path
}

func readOps(top *Section) Ops {
	s := top.Section("ops")
	defer s.Finish()
	ops := Ops{Listen: s.Text("listen", "127.0.0.1:8080", listenAddress)}
	ops.ERPReceiptsToken = s.Secret("erp_receipts_token", VisibleASCII, longToken)
	ops.StatusToken = s.Secret("status_token", VisibleASCII, longToken)
	ops.Users = readUsers(s)
	ops.PublicURL = strings.TrimRight(s.Text("public_url", "", origin), "/")
	ops.OIDC = readOIDC(s)
	ops.TLS = readTLS(s)
	ops.BehindProxy = s.Integer("behind_proxy", 0, 0, 9)
	ops.Pprof = readPprof(s)
	if ops.Listen == ListenOff {
		for _, key := range []string{"erp_receipts_token", "status_token", "users", "public_url", "oidc", "tls", "behind_proxy"} {
			if s.Has(key) {
				s.Problem(key, "is of no use with listen: off")
			}
		}
		return ops
	}
	ops.checkWay(s)
	return ops
}

// checkWay refuses what would let others read along, and a login that could not find its way back.
func (o Ops) checkWay(s *Section) {
	const cure = "since listen is not this machine alone: add ops.tls, or set ops.behind_proxy if a proxy that ends TLS is the only way here"
	if o.TLS == nil && o.BehindProxy == 0 && !ownMachine(o.Listen) && !s.Has("tls") {
		if len(o.Users) > 0 {
			s.Problem("users", "would send their passwords over the network as they are, "+cure)
		}
		if o.OIDC != nil {
			s.Problem("oidc", "would send its sessions over the network as they are, "+cure)
		}
	}
	switch secure := o.TLS != nil || o.BehindProxy > 0; {
	case o.OIDC == nil || s.Faulty("public_url"):
	case o.PublicURL == "":
		s.Problem("oidc", "needs ops.public_url: the provider sends browsers back there")
	case secure && strings.HasPrefix(o.PublicURL, "http:"):
		s.Problem("public_url", "must be https: ops.tls or ops.behind_proxy says that browsers come that way")
	case !secure && strings.HasPrefix(o.PublicURL, "https:"):
		s.Problem("public_url", "is https, while neither ops.tls nor ops.behind_proxy says that browsers come that way")
	}
}

// Pages tells whether anybody may log in: without, there are no pages.
func (o Ops) Pages() bool { return len(o.Users) > 0 || o.OIDC != nil }

// ownMachine tells whether only programs of the same machine reach an address.
func ownMachine(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

func readUsers(ops *Section) (users []User) {
	lines := map[string]int{}
	for i, item := range ops.list("users") {
		s := ops.reader.open(fmt.Sprintf("%s[%d]", ops.path("users"), i), item)
		u := User{
			Name:         s.RequiredText("name", userName),
			PasswordHash: s.RequiredSecret("password_hash", bcryptHash),
			Operates:     s.Choice("role", "read", "read", "operate") == "operate",
		}
		if first, taken := lines[u.Name]; taken && u.Name != "" {
			s.Problem("name", fmt.Sprintf("is the name of the user in line %d, too", first))
		}
		lines[u.Name] = item.line
		s.Finish()
		users = append(users, u)
	}
	return users
}

var userNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)

func userName(text string) string {
	if !userNames.MatchString(text) {
		return "must be of letters, digits, dots, dashes and underscores, 40 at most"
	}
	return ""
}

// leastCost is how dear a guess must be, as a power of two: some 50 ms of a core.
const leastCost = 10

func bcryptHash(text string) string {
	cost, err := bcrypt.Cost([]byte(text))
	switch {
	case err != nil || len(text) != 60:
		return "is not the bcrypt hash of a password: kvit password makes one"
	case cost < leastCost || cost > 15:
		return fmt.Sprintf("has the cost %d, where 10 to 15 will do: kvit password makes one", cost)
	}
	return ""
}

func readTLS(ops *Section) *TLS {
	s := ops.Section("tls")
	if !s.present {
		return nil
	}
	defer s.Finish()
	t := &TLS{Cert: s.RequiredText("cert"), Key: s.RequiredText("key")}
	if t.Cert == "" || t.Key == "" {
		return nil
	}
	return t
}

// longToken refuses what could be guessed: everybody who reaches the port may try.
func longToken(text string) string {
	if len(text) < 32 {
		return "is shorter than 32 characters"
	}
	return ""
}
