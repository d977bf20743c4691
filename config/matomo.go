package config

import "strings"

// Matomo is one site of a Matomo (https://matomo.org), hosted by anybody.
type Matomo struct {
	BaseURL            string // where it is, without /matomo.php; no slash at the end
	SiteID             int
	TokenAuth          Secret // of a user with write permission on the site
	UserID             string // fallback, always or never: when customer.id is the user id; default fallback
	RepeatedOrderIs400 bool   // a refused lone order counts as recorded before; default false
}

func readMatomo(s *Section) *Matomo {
	s.Require("base_url")
	s.Require("site_id")
	return &Matomo{
		BaseURL:            s.URL("base_url", "", noScript),
		SiteID:             s.Integer("site_id", 1, 1, 1<<31-1),
		TokenAuth:          s.RequiredSecret("token_auth", OneLine),
		UserID:             s.Choice("user_id", "fallback", "fallback", "always", "never"),
		RepeatedOrderIs400: s.Boolean("repeated_order_is_400", false),
	}
}

func noScript(text string) string {
	if strings.HasSuffix(strings.TrimRight(text, "/"), ".php") {
		return "must not name matomo.php: kvit adds it"
	}
	return ""
}
