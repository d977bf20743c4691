package main

import (
	"kvit/config"
	"kvit/destination"
	"kvit/destination/pinterest"
)

func pinterestOf(c *config.Pinterest, events map[string]string, client destination.ClientOptions) (destination.Destination, error) {
	return pinterest.New(pinterest.Options{
		AdAccountID: c.AdAccountID, Token: c.Token.Reveal(), Events: events, BaseURL: c.BaseURL, HTTP: client,
	})
}
