package main

import (
	"kvit/config"
	"kvit/destination"
	"kvit/destination/tiktok"
)

func tiktokOf(c *config.TikTok, events map[string]string, client destination.ClientOptions) (destination.Destination, error) {
	return tiktok.New(tiktok.Options{
		AccessToken: c.AccessToken.Reveal(), EventSource: c.EventSource, EventSourceID: c.EventSourceID, APIVersion: c.APIVersion,
		TestEventCode: c.TestEventCode, LimitedDataUse: c.LimitedDataUse, Events: events, BaseURL: c.BaseURL, HTTP: client,
	})
}
