package generic

import (
	"net/url"
	"strings"

	"kvit/config"
	"kvit/destination"
)

// readAuth reads one of the ways to say who sends; nil if there is none.
func readAuth(s *config.Section, allowPrivate bool) *auth {
	if s.Len() != 1 {
		s.ProblemHere("must have one of basic, bearer, header, query and oauth2")
		return nil
	}
	defer s.Finish()
	switch {
	case s.Has("basic"):
		b := s.Section("basic")
		defer b.Finish()
		return &auth{basic: &basic{
			user: b.RequiredText("user", noColon), password: b.RequiredSecret("password"), signedHeader: b.Text("signed_header", "", headerName),
		}}
	case s.Has("header"):
		return &auth{header: readKey(s.Section("header"), headerName)}
	case s.Has("query"):
		return &auth{query: readKey(s.Section("query"), config.OneLine)}
	case s.Has("oauth2"):
		return &auth{oauth2: readOAuth2(s.Section("oauth2"), allowPrivate)}
	}
	return &auth{bearer: s.Secret("bearer", config.VisibleASCII)}
}

func readKey(s *config.Section, name config.Check) *key {
	defer s.Finish()
	return &key{name: s.RequiredText("name", name), value: s.RequiredSecret("value", config.VisibleASCII)}
}

func noColon(text string) string {
	if strings.Contains(text, ":") {
		return "must not contain a colon"
	}
	return config.OneLine(text)
}

func readOAuth2(s *config.Section, allowPrivate bool) *oauth2 {
	defer s.Finish()
	plain := func(string) bool { return allowPrivate }
	return &oauth2{
		tokenURL: s.RequiredText("token_url", config.HTTPURL(plain, "http only with allow_private: true"), func(text string) string {
			if u, err := url.Parse(text); err != nil || allowPrivate || !destination.RefusesHost(u.Hostname()) {
				return ""
			}
			return "leads to a private or local address, which needs allow_private: true"
		}),
		clientID:     s.RequiredText("client_id", config.OneLine),
		clientSecret: s.RequiredSecret("client_secret"),
		scope:        s.Text("scope", "", config.OneLine),
		audience:     s.Text("audience", "", config.OneLine),
		inBody:       s.Choice("credentials_in", "header", "header", "body") == "body",
	}
}

func readAnswers(s *config.Section) answers {
	a := answers{statuses: map[int]meaning{}, other: retry}
	status := config.Matches(`[1-5]([0-9][0-9]|xx)`, "is not a status such as 409 or 4xx")
	for code, said := range s.Section("statuses").Pairs(status, isMeaning) {
		a.statuses[statusOf(code)] = meaning(said)
	}
	a.member = s.Text("member", "", config.OneLine)
	anything := func(string) string { return "" }
	values := s.Section("values")
	a.values = map[string]meaning{}
	for value, said := range values.Pairs(anything, isMeaning) {
		a.values[value] = meaning(said)
	}
	a.other = meaning(s.Text("other", string(retry), isMeaning))
	if a.member == "" && (s.Has("values") || s.Has("other")) && !s.Faulty("member") {
		s.Problem("member", "is missing: which member of the answer has these values")
	}
	if a.member != "" && !s.Has("values") {
		s.Problem("values", "is missing: what the values of the member mean")
	}
	if s.Present() {
		s.Finish()
	}
	return a
}

// statusOf is the status itself, or the first digit for all of a class.
func statusOf(code string) int {
	n := int(code[0] - '0')
	if code[1:] == "xx" {
		return n
	}
	return n*100 + int(code[1]-'0')*10 + int(code[2]-'0')
}
