package main

import (
	"kvit/config"
	"kvit/destination"
	"kvit/destination/meta"
)

func metaOf(c *config.Meta, events map[string]string, client destination.ClientOptions) (destination.Destination, error) {
	return meta.New(meta.Options{
		DatasetID: c.DatasetID, AccessToken: c.AccessToken.Reveal(), TokenIn: c.TokenIn, APIVersion: c.APIVersion,
		ActionSource: c.ActionSource, TestEventCode: c.TestEventCode, LimitedDataUse: c.LimitedDataUse,
		Events: events, BaseURL: c.BaseURL, HTTP: client,
	})
}
