package generic_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination/generic"
)

// mistakes are what is said of a configuration; it begins on line 4.
func mistakes(t *testing.T, text string) []string {
	t.Helper()
	return configtest.Mistakes(t, generic.Kind, "destinations:\n  it:\n    kind: http\n"+text, environment)
}

const (
	deduplicatesProblem = "must be stated: what the provider knows a repeat by, such as order.ref or event.uuid. kvit delivers at least once. " +
		"If the provider counts every request, write \"none\": then an event whose answer was lost is not sent again"
	good = "    url: https://x.example.com/a\n    deduplicates: none\n" // lines 4 and 5
)

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	request := func(text string) string { return good + "    requests:\n      search:\n" + text } // from line 8
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty":           {"", []string{"2: destinations.it.requests: is missing"}},
		"NoRequest":       {good + "    requests:\n", []string{"6: destinations.it.requests: is empty: write the request of at least one event"}},
		"NotMapping":      {good + "    requests: [search]\n", []string{"6: destinations.it.requests: must be a mapping of keys to values"}},
		"UnknownEvent":    {good + "    requests: {order_payd: {query: {a: 1}}}\n", []string{"6: destinations.it.requests.order_payd: is not the name of an event, nor custom:<name>, nor custom:*; did you mean order_paid?"}},
		"NothingStated":   {"    requests: {search: {query: {a: 1}}}\n", []string{"4: destinations.it.requests.search.url: is missing, here and beside the requests", "4: destinations.it.requests.search.deduplicates: " + deduplicatesProblem}},
		"UnknownKey":      {request("        jsn: {a: 1}\n"), []string{`8: destinations.it.requests.search.jsn: is not a known key: did you mean "json"?`}},
		"NotSent":         {request("        deduplicates: event.uuid\n        query: {a: \"{event.key}\"}\n"), []string{"8: destinations.it.requests.search.deduplicates: names event.uuid, which the request does not send"}},
		"NotSentCommon":   {"    url: https://x.example.com/a\n    deduplicates: order.ref\n    requests:\n      search: {query: {a: 1}}\n", []string{"7: destinations.it.requests.search.deduplicates: names order.ref, which the request does not send"}},
		"NotSentAnyMore":  {"    url: https://x.example.com/a\n    deduplicates: event.key\n    query: {id: \"{event.key}\"}\n    requests:\n      search: {query: {id: 1}}\n", []string{"8: destinations.it.requests.search.deduplicates: names event.key, which the request does not send"}},
		"DeduplicatesBad": {request("        deduplicates: order.reff\n"), []string{"8: destinations.it.requests.search.deduplicates: is not a member of the payload; did you mean order.ref?"}},
		"DeduplicatesYes": {request("        deduplicates: true\n"), []string{"8: destinations.it.requests.search.deduplicates: " + configtest.MustBeText}},
		"TwoBodies":       {request("        json: {a: 1}\n        form: {a: 1}\n"), []string{"9: destinations.it.requests.search.form: cannot stand beside json: a request has one body"}},
		"BodyOfGet":       {request("        method: GET\n        json: {a: 1}\n"), []string{"8: destinations.it.requests.search.method: must not be GET: the request has a body"}},
		"Method":          {request("        method: SEND\n"), []string{"8: destinations.it.requests.search.method: must be GET, POST, PUT, PATCH or DELETE"}},
		"Member":          {request("        query:\n          a: \"{customer.emial}\"\n"), []string{`9: destinations.it.requests.search.query.a: "customer.emial": is not a member of the payload; did you mean customer.email?`}},
		"MemberOfNothing": {request("        query: {a: \"{}\"}\n"), []string{"8: destinations.it.requests.search.query.a: has an expression without a member of the event, such as order.ref"}},
		"Event":           {request("        query: {a: \"{event.id}\"}\n"), []string{`8: destinations.it.requests.search.query.a: "event.id": event has key, name, uuid and time`}},
		"Consent":         {request("        query: {a: \"{consent}\"}\n"), []string{`8: destinations.it.requests.search.query.a: "consent": consent needs the name of a purpose, as in consent.marketing`}},
		"Custom":          {request("        query: {a: \"{custom}\"}\n"), []string{`8: destinations.it.requests.search.query.a: "custom": custom needs the name of a member, as in custom.customer_group`}},
		"Object":          {request("        query: {a: \"{customer}\"}\n"), []string{`8: destinations.it.requests.search.query.a: "customer": is not a single value: name one of its members, or go through it with each`}},
		"Function":        {request("        query: {a: \"{search.term | sha265}\"}\n"), []string{`8: destinations.it.requests.search.query.a: "sha265" is not a function; did you mean sha256?`}},
		"Arguments":       {request("        query: {a: \"{search.term | cut('x')}\"}\n"), []string{"8: destinations.it.requests.search.query.a: cut takes how many characters are kept, as in cut(100)"}},
		"DateForm":        {request("        query: {a: \"{event.time | date('%Y')}\"}\n"), []string{"8: destinations.it.requests.search.query.a: date takes a form and maybe a time zone, as in date('YYYY-MM-DD HH:mm:ss', 'Europe/Copenhagen'); the form may be iso, unix or unix_ms as well"}},
		"DateZone":        {request("        query: {a: \"{event.time | date('iso', 'Local')}\"}\n"), []string{"8: destinations.it.requests.search.query.a: date does not know this time zone"}},
		"Commas":          {request("        query: {a: \"{customer.is_new | choose('a' 'b')}\"}\n"), []string{"8: destinations.it.requests.search.query.a: choose: needs commas between what is in its brackets, and a bracket at the end"}},
		"Quote":           {request("        query: {a: \"{search.term | default('a)}\"}\n"), []string{"8: destinations.it.requests.search.query.a: default: has a text whose quote is not closed"}},
		"Open":            {request("        query: {a: \"{search.term\"}\n"), []string{"8: destinations.it.requests.search.query.a: has a { that is not closed, or something between the members and functions of its expression"}},
		"Words":           {request("        query: {a: \"{search.term upper}\"}\n"), []string{"8: destinations.it.requests.search.query.a: has a { that is not closed, or something between the members and functions of its expression"}},
		"Close":           {request("        query: {a: \"a}\"}\n"), []string{"8: destinations.it.requests.search.query.a: has a } without a {; a brace by itself is written twice"}},
		"Unquoted":        {request("        query:\n          a: {search.term}\n"), []string{"9: destinations.it.requests.search.query.a: must be in quotes if it begins with {"}},
		"List":            {request("        query: {a: \"{customer.tags}\"}\n"), []string{"8: destinations.it.requests.search.query.a: is a list: add join(','), or write a mapping with each and value"}},
		"ListInText":      {request("        json: {a: \"x{customer.tags}\"}\n"), []string{"8: destinations.it.requests.search.json.a: has a list within a text: add join(',')"}},
		"ListFunction":    {request("        json: {a: \"{customer.tags | lower}\"}\n"), []string{"8: destinations.it.requests.search.json.a: lower cannot be used on a list: add join(',') before it"}},
		"JoinOfText":      {request("        json: {a: \"{search.term | join(',')}\"}\n"), []string{"8: destinations.it.requests.search.json.a: join is for lists alone"}},
		"ListInPath":      {request("        url: https://x.example.com/{customer.tags}\n"), []string{"8: destinations.it.requests.search.url: has a list within a text: add join(',')"}},
		"ItemOutside":     {request("        query: {a: \"{item.sku}\"}\n"), []string{`8: destinations.it.requests.search.query.a: "item.sku": item and n are known below each alone`}},
		"ItemMember":      {request("        query: {a: {each: order.items, value: \"{item.skuu}\"}}\n"), []string{`8: destinations.it.requests.search.query.a.value: "item.skuu": is not a member of a line; did you mean item.sku?`}},
		"ItemOfTexts":     {request("        json: {a: {each: customer.tags, value: \"{item.sku}\"}}\n"), []string{`8: destinations.it.requests.search.json.a.value: "item.sku": the entries of this list are texts: write {item}`}},
		"EachOfNoList":    {request("        json: {a: {each: search.term, value: 1}}\n"), []string{"8: destinations.it.requests.search.json.a.each: is not a list: each goes through one such as order.items or customer.tags"}},
		"EachOfNothing":   {request("        json: {a: {each: order.lines, value: 1}}\n"), []string{"8: destinations.it.requests.search.json.a.each: is not a member of the payload"}},
		"EachKey":         {request("        json: {a: {each: order.items, values: 1}}\n"), []string{`8: destinations.it.requests.search.json.a.values: is not a known key: did you mean "value"?`}},
		"EachWithout":     {request("        json: {a: {each: order.items}}\n"), []string{"8: destinations.it.requests.search.json.a: needs a value: what is made of each entry"}},
		"EachInEach":      {request("        json: {a: {each: order.items, value: {each: customer.tags, value: 1}}}\n"), []string{"8: destinations.it.requests.search.json.a.value: must not stand within another each"}},
		"JoinOfObjects":   {request("        json: {a: {each: order.items, value: {b: 1}, join: \",\"}}\n"), []string{"8: destinations.it.requests.search.json.a.value: must be text, since join makes a text of the entries"}},
		"FieldMapping":    {request("        query: {a: {b: 1}}\n"), []string{"8: destinations.it.requests.search.query.a: must be text, or a mapping with each and value"}},
		"FieldList":       {request("        query: {a: [b]}\n"), []string{"8: destinations.it.requests.search.query.a: must be text, or a mapping with each and value"}},
		"Fields":          {request("        query: a=b\n"), []string{"8: destinations.it.requests.search.query: must be a mapping of names to values"}},
		"Number":          {request("        json: {a: 0x1F, b: .nan}\n"), []string{"8: destinations.it.requests.search.json.a: must be a number as JSON has it, or text in quotes", "8: destinations.it.requests.search.json.b: must be text (put numbers and true/false in quotes)"}},
		"Twice":           {request("        json: {a: 1, a: 2}\n"), []string{"8: destinations.it.requests.search.json.a: is written twice, first on line 8"}},
		"Nothing":         {request("        json: {a: }\n        form:\n"), []string{"8: destinations.it.requests.search.json: must be in quotes if it begins with {", "9: destinations.it.requests.search.form: has no value", "9: destinations.it.requests.search.form: cannot stand beside json: a request has one body"}},
		"Header":          {request("        headers: {\"a b\": x, Host: x, authorization: x}\n"), []string{`8: destinations.it.requests.search.headers."a b": is not the name of a header`, "8: destinations.it.requests.search.headers.Host: is set by kvit: credentials belong under auth", "8: destinations.it.requests.search.headers.authorization: is set by kvit: credentials belong under auth"}},
		"When":            {request("        when: [client.awx, order.total is 1, 7]\n"), []string{`8: destinations.it.requests.search.when[0]: "client.awx": is not a member of the payload; did you mean client.awc?`, `8: destinations.it.requests.search.when[1]: "order.total is 1": is not a member of the payload`, "8: destinations.it.requests.search.when[2]: must be text, such as client.awc"}},
		"URLHost":         {request("        url: https://{custom.host}/\n"), []string{"8: destinations.it.requests.search.url: must not hold an expression before the path: events cannot choose the host"}},
		"URLQuery":        {request("        url: https://x.example.com/?a=b\n"), []string{"8: destinations.it.requests.search.url: must not contain a query (?) or fragment (#): write parameters under query"}},
		"URLPlain":        {request("        url: http://x.example.com/\n"), []string{"8: destinations.it.requests.search.url: must be https (http only with allow_private: true)"}},
		"URLPrivate":      {request("        url: https://10.0.0.1/\n"), []string{"8: destinations.it.requests.search.url: leads to a private or local address, which needs allow_private: true"}},
		"URLPassword":     {request("        url: https://a:b@x.example.com/\n"), []string{"8: destinations.it.requests.search.url: must not contain a user name or password"}},
		"URLNone":         {request("        url: x.example.com\n"), []string{"8: destinations.it.requests.search.url: is not an absolute https URL"}},
		"URLClimbs":       {request("        url: https://x.example.com/a/%2e%2e/{event.key}\n"), []string{"8: destinations.it.requests.search.url: is not an absolute https URL"}},
		"Auth":            {good + "    auth: {bearer: \"${SECRET}\", basic: {user: a}}\n    requests: {search: {query: {a: 1}}}\n", []string{"6: destinations.it.auth: must have one of basic, bearer, header, query and oauth2"}},
		"AuthText":        {good + "    auth: token\n    requests: {search: {query: {a: 1}}}\n", []string{"6: destinations.it.auth: must be a mapping of keys to values"}},
		"AuthUnknown":     {good + "    auth: {token: x}\n    requests: {search: {query: {a: 1}}}\n", []string{"6: destinations.it.auth.token: is not a known key"}},
		"AuthLiteral":     {good + "    auth: {bearer: abc}\n    requests: {search: {query: {a: 1}}}\n", []string{"6: destinations.it.auth.bearer: " + configtest.NotInFile}},
		"AuthBasic":       {good + "    auth: {basic: {user: \"a:b\"}}\n    requests: {search: {query: {a: 1}}}\n", []string{"6: destinations.it.auth.basic.user: must not contain a colon", "6: destinations.it.auth.basic.password: is missing"}},
		"AuthQueryTwice":  {request("        auth: {query: {name: key, value: \"${SECRET}\"}}\n        query: {key: 1}\n"), []string{"9: destinations.it.requests.search.query: has the parameter of auth.query"}},
		"OAuth2":          {good + "    auth: {oauth2: {token_url: http://x.example.com, credentials_in: both}}\n    requests: {search: {query: {a: 1}}}\n", []string{"6: destinations.it.auth.oauth2.token_url: must be https (http only with allow_private: true)", "6: destinations.it.auth.oauth2.client_id: is missing", "6: destinations.it.auth.oauth2.client_secret: is missing", "6: destinations.it.auth.oauth2.credentials_in: must be header or body"}},
		"OAuth2Private":   {good + "    auth: {oauth2: {token_url: \"https://127.0.0.1/\", client_id: a, client_secret: \"${SECRET}\"}}\n    requests: {search: {query: {a: 1}}}\n", []string{"6: destinations.it.auth.oauth2.token_url: leads to a private or local address, which needs allow_private: true"}},
		"Answers":         {good + "    answers: {statuses: {7: delivered, 409: fine}, values: {a: delivered}}\n    requests: {search: {query: {a: 1}}}\n", []string{"6: destinations.it.answers.statuses.7: is not a status such as 409 or 4xx", "6: destinations.it.answers.statuses.409: must be delivered, duplicate, rejected, throttled, unauthorized, misconfigured, gone or retry", "6: destinations.it.answers.member: is missing: which member of the answer has these values"}},
		"AnswersMember":   {good + "    answers: {member: status, other: x}\n    requests: {search: {query: {a: 1}}}\n", []string{"6: destinations.it.answers.other: must be delivered, duplicate, rejected, throttled, unauthorized, misconfigured, gone or retry", "6: destinations.it.answers.values: is missing: what the values of the member mean"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, mistakes(t, test.text))
		})
	}
}

// TestMistakesShowNoValues: what comes from the environment is not in a message.
func TestMistakesShowNoValues(t *testing.T) {
	t.Parallel()
	said := mistakes(t, good+"    requests: {search: {url: \"${SECRET}\", when: \"${SECRET}\", query: {a: \"${SECRET}\"}}}\n")
	for _, line := range said {
		require.NotContains(t, line, secret)
	}
}
