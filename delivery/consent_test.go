package delivery

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConsent(t *testing.T) {
	t.Parallel()
	const yes, no = "", "no consent for marketing"
	for text, want := range map[string]string{
		`{"marketing": true}`:                       yes,
		`{"marketing": true, "analytics": "hm"}`:    yes,
		`"{\"marketing\": true}"`:                   yes,
		`{"marketing": "true"}`:                     "consent is not understood: marketing is neither true nor false",
		`{"marketing": 1}`:                          "consent is not understood: marketing is neither true nor false",
		`{"marketing": "1"}`:                        "consent is not understood: marketing is neither true nor false",
		`{"marketing": true, "marketing": true}`:    yes,
		`{}`:                                        no,
		`null`:                                      no,
		`"{}"`:                                      no,
		`{"Marketing": true}`:                       no,
		`{"analytics": true}`:                       no,
		`{"marketing": false}`:                      no,
		`{"marketing": null}`:                       no,
		`{"marketing": "false"}`:                    no,
		`{"marketing": 0}`:                          no,
		`{"marketing": ""}`:                         no,
		`{"marketing": "granted"}`:                  "consent is not understood: marketing is neither true nor false",
		`{"marketing": "TRUE"}`:                     "consent is not understood: marketing is neither true nor false",
		`{"marketing": 2}`:                          "consent is not understood: marketing is neither true nor false",
		`{"marketing": 1.0}`:                        "consent is not understood: marketing is neither true nor false",
		`{"marketing": {"granted": true}}`:          "consent is not understood: marketing is neither true nor false",
		`{"marketing": true, "marketing": false}`:   "consent is not understood: marketing is neither true nor false",
		`{"marketing": true, "marketing": "maybe"}`: "consent is not understood: marketing is neither true nor false",
		`["marketing"]`:                             "consent is not understood: it is no object of purposes",
		`"marketing"`:                               "consent is not understood: it is no object of purposes",
		`true`:                                      "consent is not understood: it is no object of purposes",
		`"\"{\\\"marketing\\\": true}\""`:           "consent is not understood: it is no object of purposes",
	} {
		c := readConsent([]byte(text))
		if want == yes {
			require.Contains(t, c.accepted, "marketing", text)
			continue
		}
		require.NotContains(t, c.accepted, "marketing", text)
		require.Equal(t, want, c.missing("marketing"), text)
	}
	require.Equal(t, "consent is not understood: it is too large", readConsent(nil).missing("marketing"))
}
