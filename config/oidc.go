package config

import (
	"net/url"
	"slices"
	"strings"
)

// OIDC is the login by an OpenID provider (key "ops.oidc").
type OIDC struct {
	Issuer       string // as the provider's own discovery document has it, to the slash at its end
	ClientID     string
	ClientSecret Secret
	Scopes       []string          // asked for beside openid; default profile and email
	RolesClaim   string            // whose values give roles, or its path with dots; default groups
	Roles        map[string]string // by value of the claim: read or operate. Who has none of these values is refused
	NameClaim    string            // what the audit calls a user; default preferred_username
	EmailDomains []string          // in small letters; none: any address, or none, will do
}

func readOIDC(ops *Section) *OIDC {
	s := ops.Section("oidc")
	if !s.present {
		return nil
	}
	defer s.Finish()
	o := &OIDC{
		Issuer:       s.RequiredText("issuer", HTTPURL(loopback, "http only for this machine itself"), noQuery),
		ClientID:     s.RequiredText("client_id", VisibleASCII),
		ClientSecret: s.RequiredSecret("client_secret"),
		Scopes:       s.Texts("scopes", scope),
		RolesClaim:   s.Text("roles_claim", "groups", OneLine),
		Roles:        readRoles(s),
		NameClaim:    s.Text("name_claim", "preferred_username", OneLine),
		EmailDomains: s.Texts("email_domains", mailDomain),
	}
	if !s.Has("scopes") {
		o.Scopes = []string{"profile", "email"}
	}
	if len(o.EmailDomains) > 0 && !slices.Contains(o.Scopes, "email") && !s.Faulty("scopes") {
		s.Problem("email_domains", "needs the scope email")
	}
	return o
}

func readRoles(oidc *Section) map[string]string {
	s := oidc.Section("roles")
	roles := s.Pairs(OneLine, oneOf("read", "operate"))
	if len(roles) == 0 && s.Len() == 0 && !s.broken {
		oidc.Problem("roles", "names no value of the claim: nobody could log in")
	}
	return roles
}

var (
	scope      = Matches(`[\x21\x23-\x5b\x5d-\x7e]+`, "is not a scope")
	mailDomain = Matches(`[a-z0-9-]+(?:\.[a-z0-9-]+)+`, "is not a domain in small letters, as in shop.example")
)

// origin is the check of an address without a path.
func origin(text string) string {
	if problem := firstProblem(text, []Check{HTTPURL(loopback, "http only for this machine itself"), noQuery}); problem != "" {
		return problem
	}
	if u, err := url.Parse(text); err != nil || strings.Trim(u.Path, "/") != "" {
		return "must not contain a path"
	}
	return ""
}
