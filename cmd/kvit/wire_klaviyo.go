package main

import (
	"kvit/config"
	"kvit/destination"
	"kvit/destination/klaviyo"
)

func klaviyoOf(c *config.Klaviyo, events map[string]string, client destination.ClientOptions) (destination.Destination, error) {
	return klaviyo.New(klaviyo.Options{
		APIKey: c.APIKey.Reveal(), Revision: c.Revision, ListID: c.ListID, Events: events, BaseURL: c.BaseURL, HTTP: client,
	})
}
