package main

import (
	"log/slog"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/spread"
)

func spreadOf(c *config.Spread, client destination.ClientOptions, logger *slog.Logger) (destination.Destination, error) {
	return spread.New(spread.Options{
		PublicKey: c.PublicKey.Reveal(), PrivateKey: c.PrivateKey.Reveal(),
		ValidateOn: c.ValidateOn, Identity: c.Identity,
		Grants: spread.Grants{Order: c.Grants.Order, Account: c.Grants.Account, EmailOptin: c.Grants.EmailOptin, SMSOptin: c.Grants.SMSOptin},
		Tags:   c.Tags, OrderTags: c.OrderTags, CustomFields: c.CustomFields,
		CartTrigger: c.CartTrigger, TimeZone: c.TimeZone, BaseURL: c.BaseURL,
		URLs: spread.URLs{
			CreateAccount: c.URLs.CreateAccount, UpdateAccount: c.URLs.UpdateAccount,
			CreateOrder: c.URLs.CreateOrder, UpdateOrder: c.URLs.UpdateOrder, Automations: c.URLs.Automations,
		},
		HTTP: client, Logger: logger,
	})
}
