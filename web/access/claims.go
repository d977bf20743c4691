package access

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// claims are what a provider says of a user, as their JSON has it.
type claims map[string]any

// find looks a claim up by its name, and then by its path: realm_access.roles.
func (c claims) find(name string) any {
	if value, there := c[name]; there {
		return value
	}
	first, rest, nested := strings.Cut(name, ".")
	inner, isObject := c[first].(map[string]any)
	if !nested || !isObject {
		return nil
	}
	return claims(inner).find(rest)
}

func (c claims) has(name string) bool { return c.find(name) != nil }

// text is a claim that is a text; empty if it is none.
func (c claims) text(name string) string {
	text, _ := c.find(name).(string)
	return text
}

// texts are the values of a claim: one text, or a list of them.
func (c claims) texts(name string) (list []string) {
	switch value := c.find(name).(type) {
	case string:
		return []string{value}
	case []any:
		for _, one := range value {
			if text, ok := one.(string); ok {
				list = append(list, text)
			}
		}
	}
	return list
}

// yes is a claim that is true; some providers write it as a text.
func (c claims) yes(name string) bool {
	switch value := c.find(name).(type) {
	case bool:
		return value
	case string:
		return value == "true"
	}
	return false
}

// oidcPrefix begins the names of users who have logged in by OIDC: no user of the configuration can have such a name.
const oidcPrefix = "oidc:"

// longestName is in bytes.
const longestName = 80

// name is what the audit calls the user.
func (o OIDC) name(c claims) (string, error) {
	for _, name := range []string{c.text(o.NameClaim), c.text("sub")} {
		if usable(name) {
			return oidcPrefix + name, nil
		}
	}
	return "", refused("The provider of the login gives you no name that the audit could keep.")
}

func usable(name string) bool {
	return name != "" && len(name) <= longestName && name == strings.TrimSpace(name) && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) })
}

// admit returns the values of the claim that give a role, and refuses who has none or comes from another domain.
func (o OIDC) admit(c claims) (grants []string, err error) {
	if !o.domainFits(c) {
		return nil, refused("Your mail address is of no domain that may log in here, or is not verified at the provider of the login.")
	}
	for _, value := range c.texts(o.RolesClaim) {
		if o.Roles[value] > Nobody {
			grants = append(grants, value)
		}
	}
	if len(grants) == 0 {
		return nil, refused("You have no role here. Whoever looks after kvit can give you one, by a group of yours at the provider of the login.")
	}
	return grants, nil
}

// role is the greatest that the values give.
func (o OIDC) role(grants []string) Role {
	role := Nobody
	for _, value := range grants {
		role = max(role, o.Roles[value])
	}
	return role
}

// domainFits takes only an address that the provider has verified: anybody may write another's.
func (o OIDC) domainFits(c claims) bool {
	if len(o.EmailDomains) == 0 {
		return true
	}
	at := strings.LastIndex(c.text("email"), "@")
	return at > 0 && c.yes("email_verified") && slices.Contains(o.EmailDomains, strings.ToLower(c.text("email")[at+1:]))
}
