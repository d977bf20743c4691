package main

import (
	"kvit/config"
	"kvit/destination"
	"kvit/destination/snowplow"
)

func snowplowOf(c *config.Snowplow, names map[string]string, client destination.ClientOptions) (destination.Destination, error) {
	return snowplow.New(snowplow.Options{
		BaseURL: c.BaseURL, AppID: c.AppID, Namespace: c.Namespace, SendIP: c.SendIP,
		Events: names, HTTP: client,
	})
}
