package main

import (
	"kvit/config"
	"kvit/destination"
	"kvit/destination/ga4"
)

func ga4Of(c *config.GA4, names map[string]string, client destination.ClientOptions) (destination.Destination, error) {
	return ga4.New(ga4.Options{
		MeasurementID: c.MeasurementID, APISecret: c.APISecret.Reveal(),
		Region: c.Region, BaseURL: c.BaseURL,
		AdPurpose: c.AdPurpose, UserData: c.UserData, WithoutClientID: c.WithoutClientID, Params: c.Params,
		Deletion: ga4.Deletion{PropertyID: c.Deletion.PropertyID, Credentials: c.Deletion.Credentials.Reveal(), BaseURL: c.Deletion.BaseURL},
		Events:   names, HTTP: client,
	})
}
