package main

import (
	"kvit/config"
	"kvit/destination"
	"kvit/destination/webhook"
)

func webhookOf(c *config.Webhook, client destination.ClientOptions) (destination.Destination, error) {
	client.AllowPrivate = c.AllowPrivate
	return webhook.New(webhook.Options{
		URL: c.URL, Secret: c.Secret.Reveal(), PreviousSecret: c.PreviousSecret.Reveal(), HTTP: client,
	})
}
