package config

// Kinds are in the order in which messages list them. The default rates stay below the limits that
// the providers state: Pinterest 5,000 a minute, Klaviyo 3,500 a minute.
var Kinds = []Kind{
	{Name: "webhook", Concurrency: 16, Consent: "marketing", Read: read(readWebhook)},
}

func read[Settings any](from func(*Section) *Settings) func(*Section) any {
	return func(s *Section) any { return from(s) }
}
