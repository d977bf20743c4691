package economic

import (
	"time"

	"kvit/config"
	"kvit/erp"
)

// Kind is an agreement in Visma e-conomic, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "economic",
	ERP:  &config.ERPDefaults{Poll: 10 * time.Minute, RefMaxLength: maxReference},
	Read: erp.Reader(readOptions),
}

// maxReference is how long references.other can be.
const maxReference = 250

// Options are the keys of the kind's own.
type Options struct {
	AppSecret config.Secret // X-AppSecretToken: of the app
	Grant     config.Secret // X-AgreementGrantToken: of the agreement that has let the app in
	Agreement int           // number of that agreement
	BaseURL   string        // without a slash at its end
}

const defaultBaseURL = "https://restapi.e-conomic.com"

func readOptions(s *config.Section) Options {
	o := Options{
		AppSecret: s.RequiredSecret("app_secret_token", config.VisibleASCII),
		Grant:     s.RequiredSecret("agreement_grant_token", config.VisibleASCII),
		BaseURL:   s.URL("base_url", defaultBaseURL),
	}
	s.Require("agreement")
	o.Agreement = s.Integer("agreement", 0, 1, 999_999_999)
	return o
}
