package main

import (
	"kvit/config"
	"kvit/destination"
	"kvit/destination/microsoftuet"
)

func microsoftUETOf(c *config.MicrosoftUET, events map[string]string, client destination.ClientOptions) (destination.Destination, error) {
	return microsoftuet.New(microsoftuet.Options{
		TagID: c.TagID, Token: c.Token.Reveal(), AdPurpose: c.AdPurpose, Events: events, BaseURL: c.BaseURL, HTTP: client,
	})
}
