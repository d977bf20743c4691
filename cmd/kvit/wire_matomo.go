package main

import (
	"kvit/config"
	"kvit/destination"
	"kvit/destination/matomo"
)

func matomoOf(c *config.Matomo, events map[string]string, client destination.ClientOptions) (destination.Destination, error) {
	return matomo.New(matomo.Options{
		BaseURL: c.BaseURL, SiteID: c.SiteID, TokenAuth: c.TokenAuth.Reveal(), UserID: c.UserID,
		RepeatedOrderIs400: c.RepeatedOrderIs400, Events: events, HTTP: client,
	})
}
