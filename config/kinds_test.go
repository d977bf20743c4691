package config

// testKinds are two that no provider has, with what kinds commonly read. They are in the order in which
// messages list them.
var testKinds = []Kind{
	{Name: "till", Concurrency: 5, Consent: "marketing", Read: func(s *Section) any { return readTill(s) }},
	{Name: "post", Concurrency: 16, Consent: "analytics", Rate: "80/s", Renames: true, Read: func(s *Section) any { return readPost(s) }},
}

type till struct {
	PublicKey, PrivateKey Secret
	Mode                  string
	Trigger               string
	Tags                  []string
	Fields                map[string]string
	Account               Secret
	BaseURL               string
}

func readTill(s *Section) *till {
	t := &till{
		PublicKey: s.RequiredSecret("public_key"), PrivateKey: s.RequiredSecret("private_key"),
		Mode: s.Choice("mode", "quick", "quick", "slow"), Trigger: s.TextOrNone("trigger", "usual", TechnicalName),
		Tags: s.Texts("tags", OneLine), Fields: s.Section("fields").Pairs(Matches(`[0-9]+`, "is no number"), TechnicalName),
		BaseURL: s.URL("base_url", "https://till.example.com"),
	}
	if s.Has("account") {
		t.Account = s.RequiredSecretText("account", Matches(`(?s)\{.*\}`, "is no account"))
	}
	if n := s.Section("fields").Len(); n > 2 {
		s.Section("fields").ProblemHere("must be at most 2")
	}
	return t
}

type post struct {
	URL    string
	Secret Secret
	Sealed bool
}

// readPost has post refuse to be unsealed.
func readPost(s *Section) *post {
	p := &post{
		URL:    s.RequiredText("url", HTTPURL(loopback, "http only for this machine itself")),
		Secret: s.RequiredSecret("secret", VisibleASCII), Sealed: s.Boolean("sealed", false),
	}
	if !p.Sealed && !s.Faulty("sealed") {
		s.Problem("sealed", "must be true")
	}
	return p
}
