package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	hookStart    = "destinations:\n  hook:\n    kind: post\n    sealed: true\n"
	hook         = hookStart + "    url: https://hooks.example.com/x\n    secret: ${HOOK}\n" // up to line 6
	tills        = "destinations:\n  sp:\n    kind: till\n    public_key: ${PUBLIC}\n    private_key: ${PRIVATE}\n"
	marksMissing = "is missing beside the other two of imported_at, erp_number and erased_at: name all three, or none, and kvit keeps these marks itself"

	shopLines   = "shop:\n  orders: {table: orders, ref: ref, placed_at: placed, imported_at: imported, erp_number: erp, erased_at: erased}\n"
	clock       = shopLines + "retention:\n  clocks:\n" // up to line 4
	policy      = shopLines + "retention:\n  policy:\n" // up to line 4
	ordersTable = "    - table: orders\n      columns: {ref: keep, name: null}\n"
	notInFile   = "must be ${NAME} as a whole, or file:/path: a secret does not belong into this file"
	mustBeText  = "must be text (put numbers and true/false in quotes)"
	badPath     = "is not a path as in customer.email or items[].sku"
	badClock    = "is not the name of a clock (lower-case letters, digits and _, at most 40, beginning with a letter)"
	ownClock    = "is the name of a clock of kvit's own: choose another"
	badAnchor   = "is not the absolute path of a file"
	badColumn   = "is not a plain column name (letters, digits, _ and $, at most 63, not beginning with a digit)"
	badTable    = "is not a plain table name, as in orders or public.orders"
	badDuration = "is not a duration with a unit, as in 30d, 72h, 15m or 90s"
	badCron     = "is not a cron schedule of five fields, nor a descriptor as @daily or @every 1h"
	ownMapOnly  = "is for a map of categories that stands in the file: a ready map has its own"
	badName     = "is not a technical name (letters, digits and _.- only, at most 100)"
	noAnchors   = "uses a YAML anchor, alias or tag, which are not supported: write the value itself"
)

// TestMistakes shows each kind of mistake with its line and key. The wants are without "kvit.yaml:".
func TestMistakes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text  string
		wants []string
	}{
		"Syntax":            {"log:\n  level: [debug\n", []string{"2: invalid YAML: sequence end token ']' not found"}},
		"NotText":           {"log:\n  level: \xff\n", []string{"2: the file is not UTF-8 text"}},
		"TwoDocuments":      {"log: {}\n---\nops: {}\n", []string{"3: the file holds more than one YAML document"}},
		"TooDeep":           {"a:\n " + strings.Repeat("[", 40), []string{"2: values are nested too deeply"}},
		"TooManyDashes":     {"a:\n " + strings.Repeat("- ", 40), []string{"2: values are nested too deeply"}},
		"NoMapping":         {"- log\n", []string{"1: must be a mapping of keys to values"}},
		"SectionIsText":     {"\nlog: loud\n", []string{"2: log: must be a mapping of keys to values"}},
		"UnknownSection":    {"log: {}\nretentoin: {}\n", []string{`2: retentoin: is not a known key: did you mean "retention"?`}},
		"UnknownKey":        {"log:\n  colour: red\n", []string{"2: log.colour: is not a known key"}},
		"UnknownStrangeKey": {"log:\n  \"a\\nb\": red\n", []string{`2: log."a\nb": is not a known key`}},
		"UnknownLongKey":    {"log:\n  " + strings.Repeat("x", 99) + ": 1\n", []string{`2: log."` + strings.Repeat("x", 64) + `...": is not a known key`}},
		"KeyTwice":          {"log:\n  level: info\n  format: auto\n  level: debug\n", []string{"4: log.level: is written twice, first on line 2"}},
		"Anchor":            {"log:\n  level: &x info\n  format: *x\n", []string{"2: log.level: " + noAnchors, "3: log.format: " + noAnchors}},
		"Tag":               {"log:\n  level: !!str info\n", []string{"2: log.level: " + noAnchors}},
		"MergeKey": {"log:\n  <<: {level: info}\n",
			[]string{"2: log: has a key that is not plain text (anchors, merge keys and tags are not supported)"}},
		"NoValue":        {"log:\n  level:\n", []string{"2: log.level: has no value"}},
		"EmptyText":      {"log:\n  level: ''\n", []string{"2: log.level: is empty"}},
		"NumberForText":  {"log:\n  level: 5\n", []string{"2: log.level: " + mustBeText}},
		"NotAChoice":     {"log: {level: loud}", []string{"1: log.level: must be debug, info, warn or error"}},
		"PartlyVariable": {"log:\n  level: x${ZONE}\n", []string{"2: log.level: must be ${NAME} as a whole, or contain no ${"}},
		"UnsetVariable":  {"log:\n  level: ${UNSET}\n", []string{"2: log.level: the environment variable UNSET is not set"}},

		"TextWithNUL": {"ops:\n  listen: \"a\\0b\"\n", []string{"2: ops.listen: contains a NUL character"}},

		"NotANumber":     {"database:\n  max_connections: many\n", []string{"2: database.max_connections: must be a whole number, without quotes"}},
		"QuotedNumber":   {"database:\n  max_connections: '20'\n", []string{"2: database.max_connections: must be a whole number, without quotes"}},
		"NumberTooLow":   {"database:\n  max_connections: 3\n", []string{"2: database.max_connections: must be from 4 to 500"}},
		"NumberNegative": {"database:\n  max_connections: -20\n", []string{"2: database.max_connections: must be from 4 to 500"}},
		"NumberHuge":     {"database:\n  max_connections: 18446744073709551615\n", []string{"2: database.max_connections: must be from 4 to 500"}},
		"ReadPassword":   {"database:\n  read_url: postgres://a:pg-marker@standby.example.com/shop\n", []string{"2: database.read_url: holds a password, so it " + notInFile}},
		"ReadNoURL":      {"database:\n  read_url: standby.example.com\n", []string{"2: database.read_url: is neither a postgres:// URL nor a key=value connection string"}},
		"ReadUnset":      {"database:\n  read_url: ${UNSET}\n", []string{"2: database.read_url: the environment variable UNSET is not set"}},
		"ReadMaxLagOnly": {"database:\n  read_max_lag: 1m\n", []string{"2: database.read_max_lag: has no use without read_url"}},
		"Engine":         {"database:\n  engine: oracle\n", []string{"2: database.engine: must be postgres"}},
		"EngineYugabyte": {"database:\n  engine: yugabyte\n", []string{"2: database.engine: is not supported: YugabyteDB waits for a locked row beyond lock_timeout, and each of its nodes shows its own sessions alone," +
			" so that kvit could neither give way to the shop nor see that it is in its way. docs/scale.md has the rest. Leave the key out for Postgres"}},
		"NotABoolean": {"database:\n  notify: maybe\n", []string{"2: database.notify: must be true or false"}},
		"Listen":      {"ops:\n  listen: 127.0.0.1\n", []string{"2: ops.listen: is neither host:port nor off"}},
		"TokenAlone":  {"ops:\n  listen: off\n  erp_receipts_token: ${LONG_TOKEN}\n", []string{"3: ops.erp_receipts_token: is of no use with listen: off", "3: ops.erp_receipts_token: needs shop.orders, whose orders receipts are about"}},
		"TokenShort":  {"ops:\n  erp_receipts_token: ${SHORT_TOKEN}\n", []string{"2: ops.erp_receipts_token: is shorter than 32 characters"}},
		"ListenPort":  {"ops:\n  listen: 127.0.0.1:99999\n", []string{"2: ops.listen: is neither host:port nor off"}},

		"PprofForAll":  {"ops:\n  pprof: true\n  pprof_listen: 0.0.0.0:6060\n", []string{"3: ops.pprof_listen: must be on 127.0.0.1 or [::1]: profiles are for this machine alone"}},
		"PprofAnyHost": {"ops:\n  pprof: true\n  pprof_listen: ':6060'\n", []string{"3: ops.pprof_listen: must be on 127.0.0.1 or [::1]: profiles are for this machine alone"}},
		"PprofByName":  {"ops:\n  pprof: true\n  pprof_listen: localhost:6060\n", []string{"3: ops.pprof_listen: must be on 127.0.0.1 or [::1]: profiles are for this machine alone"}},
		"PprofNowhere": {"ops:\n  pprof: true\n  pprof_listen: off\n", []string{"3: ops.pprof_listen: is not host:port"}},

		"NoUnit":           {"delivery:\n  timeout: 30\n", []string{"2: delivery.timeout: " + badDuration}},
		"NoDuration":       {"delivery:\n  timeout: soon\n", []string{"2: delivery.timeout: " + badDuration}},
		"DurationNegative": {"delivery:\n  timeout: -30s\n", []string{"2: delivery.timeout: must not be negative"}},
		"DurationTooShort": {"delivery:\n  timeout: 4s\n", []string{"2: delivery.timeout: must be from 5s to 5m"}},
		"DurationTooLong":  {"delivery:\n  timeout: 999999d\n", []string{"2: delivery.timeout: is too long"}},
		"DurationOverflow": {"delivery:\n  timeout: 100000d2000000h\n", []string{"2: delivery.timeout: is too long"}},
		"DurationInside":   {"delivery:\n  timeout: 1d-5s\n", []string{"2: delivery.timeout: " + badDuration}},

		"ShopWithoutOrders": {"log: {}\nshop: {}\n", []string{"2: shop.orders: is missing"}},
		"OrdersWithoutColumns": {"shop:\n  orders: {table: orders}\n", []string{
			"2: shop.orders.ref: is missing", "2: shop.orders.placed_at: is missing"}},
		"OrdersWithOneMark": {strings.Replace(shopLines, ", erp_number: erp, erased_at: erased", "", 1), []string{
			"2: shop.orders.erp_number: " + marksMissing, "2: shop.orders.erased_at: " + marksMissing}},
		"OrdersWithTwoMarks": {strings.Replace(shopLines, ", erased_at: erased", "", 1), []string{"2: shop.orders.erased_at: " + marksMissing}},
		"OrdersTimeZone": {strings.Replace(shopLines, "erased_at: erased", "erased_at: erased, time_zone: Copenhagen", 1), []string{
			"2: shop.orders.time_zone: is not a known time zone, as in Europe/Copenhagen or UTC"}},
		"OrdersTable":  {strings.Replace(shopLines, "table: orders", "table: a.b.c", 1), []string{"2: shop.orders.table: " + badTable}},
		"OrdersColumn": {strings.Replace(shopLines, "ref: ref", "ref: 'x\"; drop'", 1), []string{"2: shop.orders.ref: " + badColumn}},
		"OrdersColumnTwice": {strings.Replace(shopLines, "erp_number: erp", "erp_number: ref", 1),
			[]string{"2: shop.orders.erp_number: names the same column as ref"}},

		"DestinationName": {"destinations:\n  CRM: {kind: post}\n", []string{
			"2: destinations.CRM: is not a destination name (lower-case letters, digits, _ and -, at most 40, beginning with a letter)"}},
		"DestinationTwice":    {hook + "  hook: {kind: till}\n", []string{"7: destinations.hook: is written twice, first on line 2"}},
		"DestinationIsText":   {"destinations:\n  crm: post\n", []string{"2: destinations.crm: must be a mapping of keys to values"}},
		"NoKind":              {"destinations:\n  crm:\n    url: https://hooks.example.com\n", []string{"2: destinations.crm.kind: is missing"}},
		"UnknownKind":         {"destinations:\n  crm:\n    kind: fax\n", []string{"3: destinations.crm.kind: must be till or post"}},
		"KeyOfAnotherKind":    {hook + "    public_key: ${PUBLIC}\n", []string{"7: destinations.hook.public_key: is not a known key"}},
		"Consent":             {hook + "    consent: a b\n", []string{"7: destinations.hook.consent: is not a purpose (letters, digits and _.:- only, at most 63), nor none"}},
		"EventsNotAList":      {hook + "    events: order_paid\n", []string{"7: destinations.hook.events: must be a list, or a mapping of events"}},
		"EventsEmpty":         {hook + "    events: []\n", []string{"7: destinations.hook.events: is an empty list: leave the key out instead"}},
		"EventsTwice":         {hook + "    events:\n      - search\n      - search\n", []string{"9: destinations.hook.events[1]: is in the list twice"}},
		"EventsUnknown":       {hook + "    events:\n      - search\n      - order_payd\n", []string{"9: destinations.hook.events[1]: is not the name of an event, nor custom:<name>, nor custom:*; did you mean order_paid?"}},
		"EventsWithoutCustom": {hook + "    events: ['custom:']\n", []string{"7: destinations.hook.events[0]: is not the name of an event, nor custom:<name>, nor custom:*"}},
		"Concurrency":         {hook + "    concurrency: 0\n", []string{"7: destinations.hook.concurrency: must be from 1 to 1000"}},
		"TimeoutOfRequest":    {hook + "    timeout: 30s\n", []string{"7: destinations.hook.timeout: must be shorter than delivery.timeout"}},
		"RetryNegative":       {hook + "    retry_for: -1h\n", []string{"7: destinations.hook.retry_for: must not be negative"}},
		"MaxAge":              {hook + "    max_age: 7\n", []string{"7: destinations.hook.max_age: " + badDuration}},

		"SettingsEmpty": {"destinations:\n  crm: {kind: post}\n", []string{
			"2: destinations.crm.url: is missing", "2: destinations.crm.secret: is missing", "2: destinations.crm.sealed: must be true"}},
		"FaultyOnce":     {strings.Replace(hook, "sealed: true", "sealed: 'yes'", 1), []string{"4: destinations.hook.sealed: must be true or false"}},
		"URL":            {strings.Replace(hook, "https://", "", 1), []string{"5: destinations.hook.url: is not an absolute https URL"}},
		"URLPlain":       {strings.Replace(hook, "https", "http", 1), []string{"5: destinations.hook.url: must be https (http only for this machine itself)"}},
		"URLFile":        {strings.Replace(hook, "https://hooks.example.com/x", "file:///etc/hosts", 1), []string{"5: destinations.hook.url: is not an absolute https URL"}},
		"URLPassword":    {strings.Replace(hook, "https://", "https://a:b@", 1), []string{"5: destinations.hook.url: must not contain a user name or password"}},
		"URLFragment":    {strings.Replace(hook, "/x", "/#x", 1), []string{"5: destinations.hook.url: must not contain a fragment (#)"}},
		"URLQuery":       {tills + "    base_url: https://till.example.com/?a=b\n", []string{"6: destinations.sp.base_url: must not contain a query (?)"}},
		"SecretCheck":    {strings.Replace(hook, "${HOOK}", "${BROKEN_HOOK}", 1), []string{"6: destinations.hook.secret: contains a blank or a character that is not ASCII"}},
		"SecretLiteral":  {strings.Replace(hook, "${HOOK}", signingKey, 1), []string{"6: destinations.hook.secret: " + notInFile}},
		"SecretNumber":   {strings.Replace(hook, "${HOOK}", "12345", 1), []string{"6: destinations.hook.secret: " + notInFile}},
		"SecretPartly":   {strings.Replace(hook, "${HOOK}", "whsec_${HOOK}", 1), []string{"6: destinations.hook.secret: " + notInFile}},
		"SecretUnset":    {strings.Replace(hook, "${HOOK}", "${UNSET}", 1), []string{"6: destinations.hook.secret: the environment variable UNSET is not set"}},
		"SecretLines":    {strings.Replace(hook, "${HOOK}", "${TWO_LINES}", 1), []string{"6: destinations.hook.secret: contains a line break or another control character"}},
		"SecretText":     {tills + "    account: ${TWO_LINES}\n", []string{"6: destinations.sp.account: is no account"}},
		"SecretTextHere": {tills + "    account: '{}'\n", []string{"6: destinations.sp.account: " + notInFile}},
		"TextOrNone":     {tills + "    trigger: a/b\n", []string{"6: destinations.sp.trigger: " + badName}},
		"TextsNumber":    {tills + "    tags: [ok, 5]\n", []string{"6: destinations.sp.tags[1]: " + mustBeText}},
		"PairsKey":       {tills + "    fields:\n      a: b\n", []string{"7: destinations.sp.fields.a: is no number"}},
		"PairsText":      {tills + "    fields: {7: a/b}\n", []string{"6: destinations.sp.fields.7: " + badName}},
		"SectionWhole":   {tills + "    fields: {1: a, 2: b, 3: c}\n", []string{"6: destinations.sp.fields: must be at most 2"}},

		"ConsentIsText":     {"consent: cookiebot\n", []string{"1: consent: must be a mapping of keys to values"}},
		"ConsentWithoutMap": {"consent: {}\n", []string{"1: consent.map: is missing"}},
		"ConsentUnknownMap": {"consent:\n  map: cookiebt\n", []string{"2: consent.map: must be cookie_information, cookiebot, google, onetrust or usercentrics"}},
		"ConsentReadyForm":  {"consent:\n  map: google\n  form: object\n  yes: [ja]\n", []string{"3: consent.form: " + ownMapOnly, "4: consent.yes: " + ownMapOnly}},
		"ConsentEmpty":      {"consent:\n  map: {}\n", []string{"2: consent.map: names no category"}},
		"ConsentCategory":   {"consent:\n  map:\n    \"a\\nb\": marketing\n", []string{`3: consent.map."a\nb": is not the name of a category (1 to 100 characters of one line)`}},
		"ConsentPurpose":    {"consent:\n  map: {a: a b, c: none}\n", []string{"2: consent.map.a: is not a purpose (letters, digits and _.:- only, at most 63)", "2: consent.map.c: is not a purpose"}},
		"ConsentForm":       {"consent:\n  map: {a: marketing}\n  form: json\n", []string{"3: consent.form: must be cookie_information, cookiebot, object, onetrust or usercentrics"}},
		"ConsentFormValues": {"consent:\n  map: {a: marketing}\n  form: onetrust\n  no: ['2']\n", []string{"4: consent.no: is for the form object: the others have values of their own"}},
		"ConsentYesIsNo":    {"consent:\n  map: {a: marketing}\n  yes: [ja, 'false']\n  no: [ja]\n", []string{"3: consent.yes[1]: is what programs write for no", "4: consent.no: names a value that is a yes"}},
		"ConsentNumber":     {"consent:\n  map: {a: marketing}\n  yes: [1]\n", []string{"3: consent.yes[0]: " + mustBeText}},
		"ConsentUnknownKey": {"consent:\n  map: cookiebot\n  maps: {}\n", []string{`3: consent.maps: is not a known key: did you mean "map"?`}},
		"ConsentOfNobody": {hook + "    consent: newsletters\nconsent: {map: google}\n", []string{
			"7: destinations.hook.consent: no category of consent.map becomes newsletters, which this destination needs"}},
		"ConsentOfNobodyByDefault": {tills + "consent: {map: {stats: analytics}}\n", []string{
			"2: destinations.sp.consent: no category of consent.map becomes marketing, which this destination needs"}},

		"Schedule":       {"retention:\n  schedule: daily\n", []string{"2: retention.schedule: " + badCron}},
		"ScheduleZone":   {"retention:\n  schedule: TZ=0\n", []string{"2: retention.schedule: must not contain a time zone: write it as retention.time_zone"}},
		"ScheduleNever":  {"retention:\n  schedule: 0 0 30 2 *\n", []string{"2: retention.schedule: names a date that never comes"}},
		"Zone":           {"retention:\n  time_zone: Europe/Atlantis\n", []string{"2: retention.time_zone: is not a known time zone, as in Europe/Copenhagen or UTC"}},
		"EraseAtOnce":    {"retention:\n  erase_after_import: 0\n", []string{"2: retention.erase_after_import: must be from 1s to 36500d"}},
		"Batch":          {"retention:\n  batch_orders: 5001\n", []string{"2: retention.batch_orders: must be from 1 to 5000"}},
		"ReceiptsShort":  {"retention:\n  receipts_after: 20d\n", []string{"2: retention.receipts_after: must not be shorter than retention.events_after"}},
		"EventsLong":     {"retention:\n  events_after: 500d\n", []string{"2: retention.receipts_after: must not be shorter than retention.events_after"}},
		"RetryLong":      {hook + "    retry_for: 500d\n", []string{"7: retention.receipts_after: must not be shorter than destinations.hook.retry_for"}},
		"ReceiptsFaulty": {"retention:\n  events_after: 500d\n  receipts_after: long\n", []string{"3: retention.receipts_after: " + badDuration}},

		"EmailIsRef":      {strings.Replace(shopLines, "erased}", "erased, email: ref}", 1), []string{"2: shop.orders.email: names the same column as ref"}},
		"CustomerIsEmail": {strings.Replace(shopLines, "erased}", "erased, email: a, customer_id: a}", 1), []string{"2: shop.orders.customer_id: names the same column as email"}},
		"JoinedEmpty": {strings.Replace(shopLines, "erased}", "erased, customer: {}}", 1), []string{
			"2: shop.orders.customer: names neither email nor id: it would be of no use",
			"2: shop.orders.customer.table: is missing", "2: shop.orders.customer.match: is missing: write {column of this table: column of the orders table}"}},
		"JoinedMatch":       {strings.Replace(shopLines, "erased}", "erased, customer: {table: c, match: {}, email: a b}}", 1), []string{"2: shop.orders.customer.email: " + badColumn, "2: shop.orders.customer.match: must be a pair: write {column of this table: column of the orders table}"}},
		"JoinedTwice":       {strings.Replace(shopLines, "erased}", "erased, email: mail, customer: {table: c, match: {id: c}, email: mail}}", 1), []string{"2: shop.orders.customer.email: is given as shop.orders.email already: one of them can be it"}},
		"JoinedItself":      {strings.Replace(shopLines, "erased}", "erased, customer: {table: public.orders, match: {id: c}, id: id}}", 1), []string{"2: shop.orders.customer.table: is the orders table: name its columns as shop.orders.email and customer_id"}},
		"CustomerColumn":    {strings.Replace(shopLines, "erased}", "erased, customer_id: a b}", 1), []string{"2: shop.orders.customer_id: " + badColumn}},
		"NeverImportedUnit": {"retention:\n  erase_never_imported_after: 90\n", []string{"2: retention.erase_never_imported_after: " + badDuration}},
		"NeverImportedNow":  {"retention:\n  erase_never_imported_after: 500ms\n", []string{"2: retention.erase_never_imported_after: must be 0 or from 1s to 36500d"}},
		"NeverImportedUnseen": {"retention:\n  erase_never_imported_after: 3h\n", []string{
			"2: retention.erase_never_imported_after: must not be shorter than retention.alarm_unimported_after, which tells of orders that the ERP lacks"}},
		"AlarmFaulty":     {"retention:\n  erase_never_imported_after: 3h\n  alarm_unimported_after: soon\n", []string{"3: retention.alarm_unimported_after: " + badDuration}},
		"AlarmAtOnce":     {"retention:\n  alarm_unimported_after: 1ms\n", []string{"2: retention.alarm_unimported_after: must be 0 or from 1s to 36500d"}},
		"BatchTimeShort":  {"retention:\n  batch_time: 9ms\n", []string{"2: retention.batch_time: must be from 10ms to 10s"}},
		"BatchTimeOff":    {"retention:\n  batch_time: 0\n", []string{"2: retention.batch_time: must be from 10ms to 10s"}},
		"BatchTimeLong":   {"retention:\n  batch_time: 11s\n", []string{"2: retention.batch_time: must be from 10ms to 10s"}},
		"ReplicaLag":      {"retention:\n  max_replica_lag: 2d\n", []string{"2: retention.max_replica_lag: must be 0 or from 100ms to 1d"}},
		"ReplicaLagShort": {"retention:\n  max_replica_lag: 10ms\n", []string{"2: retention.max_replica_lag: must be 0 or from 100ms to 1d"}},
		"AnchorRelative":  {"retention:\n  anchor: anchor.json\n", []string{"2: retention.anchor: " + badAnchor}},
		"AnchorFolder":    {"retention:\n  anchor: /var/lib/kvit/\n", []string{"2: retention.anchor: " + badAnchor}},
		"AnchorLines":     {"retention:\n  anchor: \"/a\\nb\"\n", []string{"2: retention.anchor: contains a line break or another control character"}},
		"AnchorEmpty":     {"retention:\n  anchor:\n", []string{"2: retention.anchor: has no value"}},
		"BrakeIsANumber":  {"retention:\n  brake: 100\n", []string{"2: retention.brake: must be a mapping of keys to values"}},
		"BrakeUnknown":    {"retention:\n  brake: {max_order: 1}\n", []string{`2: retention.brake.max_order: is not a known key: did you mean "max_orders"?`}},
		"BrakeOrders":     {"retention:\n  brake: {max_orders: -1}\n", []string{"2: retention.brake.max_orders: must be from 0 to 1000000000"}},
		"BrakeShare":      {"retention:\n  brake: {max_share: 1.01}\n", []string{"2: retention.brake.max_share: must be from 0 to 1"}},
		"BrakePercent":    {"retention:\n  brake: {max_share: 20}\n", []string{"2: retention.brake.max_share: must be from 0 to 1"}},
		"BrakePercents":   {"retention:\n  brake: {max_share: 20%}\n", []string{"2: retention.brake.max_share: must be a number, without quotes"}},
		"BrakeNegative":   {"retention:\n  brake: {max_share: -0.1}\n", []string{"2: retention.brake.max_share: must be from 0 to 1"}},
		"BrakeNoNumber":   {"retention:\n  brake: {max_share: .nan}\n", []string{"2: retention.brake.max_share: must be a number, without quotes"}},
		"BrakeHuge":       {"retention:\n  brake: {max_share: 18446744073709551615}\n", []string{"2: retention.brake.max_share: must be from 0 to 1"}},

		"ClocksWithoutShop": {"retention:\n  clocks:\n    a: {when: x, erase_after: 1d}\n", []string{"2: retention.clocks: needs shop.orders, which says what an order is"}},
		"ClocksFaultyShop":  {"shop: {}\nretention:\n  clocks:\n    a: {when: x, erase_after: 1d}\n", []string{"1: shop.orders: is missing"}},
		"ClocksBrokenShop":  {"shop: none\nretention:\n  clocks:\n    a: {when: x, erase_after: 1d}\n", []string{"1: shop: must be a mapping of keys to values"}},
		"ClocksAreAList":    {clock + "    - {when: x}\n", []string{"4: retention.clocks: must be a mapping of keys to values"}},
		"ClockIsText":       {clock + "    cart: 7d\n", []string{"5: retention.clocks.cart: must be a mapping of keys to values"}},
		"ClockEmpty":        {clock + "    cart: {}\n", []string{"5: retention.clocks.cart.when: is missing", "5: retention.clocks.cart.erase_after: is missing"}},
		"ClockName":         {clock + "    old-carts: {when: x, erase_after: 1d}\n", []string{"5: retention.clocks.old-carts: " + badClock}},
		"ClockNameLong":     {clock + "    a" + strings.Repeat("b", 40) + ": {when: x, erase_after: 1d}\n", []string{"5: retention.clocks.a" + strings.Repeat("b", 40) + ": " + badClock}},
		"ClockTwice":        {clock + "    cart: {when: x, erase_after: 1d}\n    cart: {}\n", []string{"6: retention.clocks.cart: is written twice, first on line 5"}},
		"ClocksOfKvit": {clock + "    imported: {}\n    never_imported: {}\n    request: {}\n    replay: {}\n", []string{
			"5: retention.clocks.imported: " + ownClock, "6: retention.clocks.never_imported: " + ownClock,
			"7: retention.clocks.request: " + ownClock, "8: retention.clocks.replay: " + ownClock}},
		"ClockWhenEmpty": {clock + "    cart: {when: ' ', erase_after: 1d}\n", []string{"5: retention.clocks.cart.when: is empty"}},
		"ClockWhenTrue":  {clock + "    cart: {when: true, erase_after: 1d}\n", []string{"5: retention.clocks.cart.when: " + mustBeText}},
		"ClockSince":     {clock + "    cart: {when: x, since: now(), erase_after: 1d}\n", []string{"5: retention.clocks.cart.since: " + badColumn}},
		"ClockErased":    {clock + "    cart: {when: x, since: erased, erase_after: 1d}\n", []string{"5: retention.clocks.cart.since: is shop.orders.erased_at, which is empty until an order is erased"}},
		"ClockAtOnce":    {clock + "    cart: {when: x, erase_after: 0}\n", []string{"5: retention.clocks.cart.erase_after: must be from 1s to 36500d"}},
		"ClockUnknown":   {clock + "    cart: {when: x, erase_after: 1d, until: y}\n", []string{"5: retention.clocks.cart.until: is not a known key"}},

		"PolicyWithoutShop": {"retention:\n  policy:\n" + ordersTable, []string{"2: retention.policy: needs shop.orders, which says what an order is"}},
		"PolicyEmpty":       {shopLines + "retention:\n  policy: []\n", []string{"4: retention.policy: is an empty list: leave the key out instead"}},
		"PolicyIsText":      {policy + "    - orders\n", []string{"5: retention.policy[0]: must be a mapping of keys to values", "4: retention.policy: does not name the table of shop.orders"}},
		"PolicyNoTable":     {policy + ordersTable + "    - rows: delete\n      match: {a: b}\n", []string{"7: retention.policy[1].table: is missing"}},
		"PolicyTable":       {policy + ordersTable + "    - rows: delete\n      match: {a: b}\n      table: a b\n", []string{"9: retention.policy[1].table: " + badTable}},
		"PolicyTableTwice":  {policy + ordersTable + "    - table: public.orders\n      columns: {x: keep}\n", []string{"7: retention.policy[1].table: names a table that line 5 has already"}},
		"PolicyNoOrders":    {policy + "    - {table: lines, match: {a: b}, rows: delete}\n", []string{"4: retention.policy: does not name the table of shop.orders"}},
		"MatchOnOrders":     {policy + ordersTable + "      match: {a: b}\n", []string{"7: retention.policy[0].match: has no use on the table of shop.orders"}},
		"MatchMissing":      {policy + ordersTable + "    - table: lines\n      rows: delete\n", []string{"7: retention.policy[1].match: is missing: write {column of this table: column of the orders table}"}},
		"MatchTwoPairs":     {policy + ordersTable + "    - table: lines\n      rows: delete\n      match: {}\n", []string{"9: retention.policy[1].match: must be a pair {column of this table: column of the orders table}"}},
		"MatchColumn":       {policy + ordersTable + "    - table: lines\n      rows: delete\n      match: {1a: b}\n", []string{"9: retention.policy[1].match.1a: " + badColumn}},
		"MatchOrderColumn":  {policy + ordersTable + "    - table: lines\n      rows: delete\n      match: {a: 1b}\n", []string{"9: retention.policy[1].match.a: " + badColumn}},
		"RowsUnknown":       {policy + ordersTable + "    - table: lines\n      rows: kept\n      match: {a: b}\n", []string{"8: retention.policy[1].rows: must be delete or keep"}},
		"RowsAndColumns":    {policy + ordersTable + "    - table: lines\n      rows: delete\n      match: {a: b}\n      columns: {c: null}\n", []string{"10: retention.policy[1].columns: has no use beside rows: delete"}},
		"RowsOfOrders":      {policy + "    - table: orders\n      rows: delete\n", []string{"6: retention.policy[0].rows: cannot delete orders: name their columns instead"}},
		"NeitherRowsNorColumns": {policy + ordersTable + "    - table: lines\n      match: {a: b}\n",
			[]string{"7: retention.policy[1].columns: is missing: name every column, or write rows: delete"}},
		"ColumnsEmpty":    {policy + "    - table: orders\n      columns:\n", []string{"6: retention.policy[0].columns: names no column"}},
		"ColumnNoValue":   {policy + "    - table: orders\n      columns:\n        name:\n        ref: keep\n", []string{"7: retention.policy[0].columns.name: has no value"}},
		"ColumnTilde":     {policy + "    - table: orders\n      columns: {name: ~}\n", []string{"6: retention.policy[0].columns.name: " + strategyProblem}},
		"ColumnStrategy":  {policy + "    - table: orders\n      columns: {name: hsh}\n", []string{"6: retention.policy[0].columns.name: " + strategyProblem}},
		"ColumnName":      {policy + "    - table: orders\n      columns: {na me: keep}\n", []string{"6: retention.policy[0].columns.\"na me\": " + badColumn}},
		"ColumnText":      {policy + "    - table: orders\n      columns: {name: {text: 5}}\n", []string{"6: retention.policy[0].columns.name.text: " + mustBeText}},
		"ColumnTextNUL":   {policy + "    - table: orders\n      columns: {name: {text: \"\\0\"}}\n", []string{"6: retention.policy[0].columns.name.text: contains a NUL character"}},
		"ColumnTextEmpty": {policy + "    - table: orders\n      columns: {name: {text: }}\n", []string{"6: retention.policy[0].columns.name.text: has no value"}},
		"ColumnTextOther": {policy + "    - table: orders\n      columns: {name: {txt: x}}\n", []string{
			"6: retention.policy[0].columns.name.text: is missing", `6: retention.policy[0].columns.name.txt: is not a known key: did you mean "text"?`}},
		"RowsKeptOfOrders":   {policy + "    - table: orders\n      rows: keep\n", []string{"6: retention.policy[0].rows: cannot keep orders: name their columns instead"}},
		"RowsKeptAndColumns": {policy + ordersTable + "    - table: lines\n      rows: keep\n      columns: {c: null}\n", []string{"9: retention.policy[1].columns: has no use beside rows: keep"}},
		"ParentUnknown":      {policy + ordersTable + "    - table: lines\n      rows: delete\n      match: {a: b}\n      parent: other\n", []string{"10: retention.policy[1].parent: names a table that the policy does not"}},
		"ParentItself":       {policy + ordersTable + "    - table: lines\n      rows: delete\n      match: {a: b}\n      parent: lines\n", []string{"10: retention.policy[1].parent: is the table itself"}},
		"ParentOfOrders":     {policy + ordersTable + "      parent: orders\n", []string{"7: retention.policy[0].parent: has no use on the table of shop.orders"}},
		"HashWithoutKey":     {policy + "    - table: orders\n      columns: {name: hash}\n", []string{"3: retention.hash_key: is missing, and the policy has a column that becomes a hash"}},
		"PathHashWithoutKey": {policy + "    - table: orders\n      columns: {name: {json: {a: hash}}}\n", []string{"3: retention.hash_key: is missing, and the policy has a column that becomes a hash"}},
		"HashKeyShort":       {"retention: {hash_key: \"${COLON}\"}\n", []string{"1: retention.hash_key: is shorter than 32 characters"}},
		"HashKeyInTheFile":   {"retention: {hash_key: 0123456789012345678901234567890123456789}\n", []string{"1: retention.hash_key: " + notInFile}},
		"DateUnit":           {policy + "    - table: orders\n      columns: {name: {truncate_date: day}}\n", []string{"6: retention.policy[0].columns.name.truncate_date: must be month or year"}},
		"GeneraliseNone":     {policy + "    - table: orders\n      columns: {name: {generalise: 0}}\n", []string{"6: retention.policy[0].columns.name.generalise: must be from 1 to 100"}},
		"TwoStrategies":      {policy + "    - table: orders\n      columns: {name: {generalise: 2, text: x}}\n", []string{"6: retention.policy[0].columns.name.text: is not a known key"}},
		"PathsNone":          {policy + "    - table: orders\n      columns: {name: {json: {}}}\n", []string{"6: retention.policy[0].columns.name.json: names no path: what no path names is removed"}},
		"PathForm": {policy + "    - table: orders\n      columns: {name: {json: {a..b: keep, \"a[\": keep, \"[]b\": keep}}}\n", []string{
			"6: retention.policy[0].columns.name.json.a..b: " + badPath, "6: retention.policy[0].columns.name.json.a[: " + badPath, "6: retention.policy[0].columns.name.json.[]b: " + badPath}},
		"PathStrategy": {policy + "    - table: orders\n      columns: {name: {json: {a: drop}}}\n", []string{"6: retention.policy[0].columns.name.json.a: " + strategyProblem}},
		"PathOfPaths":  {policy + "    - table: orders\n      columns: {name: {json: {a: {json: {b: keep}}}}}\n", []string{"6: retention.policy[0].columns.name.json.a: cannot be json again: write the whole path"}},
		"ColumnReview": {policy + "    - table: orders\n      columns: {name: review}\n", []string{
			"6: retention.policy[0].columns.name: is review: somebody has to decide, keep it or say how it is erased"}},
		"PathReview": {policy + "    - table: orders\n      columns: {name: {json: {a: review}}}\n", []string{
			"6: retention.policy[0].columns.name.json.a: is review: somebody has to decide, keep it or say how it is erased"}},
		"RowsReview": {policy + ordersTable + "    - table: lines\n      match: review\n      rows: review\n", []string{
			"8: retention.policy[1].match: is review: somebody has to decide, write {column of this table: column of the orders table}",
			"9: retention.policy[1].rows: is review: somebody has to decide, delete or keep its rows, or name its columns"}},
		"OwnColumn": {policy + "    - table: orders\n      columns: {erp: null, name: null}\n", []string{
			"6: retention.policy[0].columns.erp: is shop.orders.erp_number, which kvit needs: it can only be keep"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, line := range mistakes(t, test.text, withDatabase) {
				got = append(got, strings.TrimPrefix(line, "kvit.yaml:"))
			}
			require.ElementsMatch(t, test.wants, got)
		})
	}
}

func TestAllMistakesAtOnceInOrderOfLines(t *testing.T) {
	t.Parallel()
	text := `ops:
  listen: nowhere
database:
  url: postgres://kvit:pg-marker@db.example.com/shop
  max_conections: 20
log: {level: loud, format: xml}
shop:
  orders:
    table: orders
    ref: order number
    placed_at: created_at
    imported_at: created_at
destinations:
  spread:
    kind: till
    public_key: ${UNSET}
    private_key: private-marker
    timeout: 15
  crm:
    kind: post
    url: http://hooks.example.com/x
    secret: ${BROKEN_HOOK}
retention:
  schedule: 30 3 * *
  policy:
    - table: lines
      rows: delete
`
	require.Equal(t, []string{
		"kvit.yaml:2: ops.listen: is neither host:port nor off",
		"kvit.yaml:4: database.url: holds a password, so it " + notInFile,
		`kvit.yaml:5: database.max_conections: is not a known key: did you mean "max_connections"?`,
		"kvit.yaml:6: log.level: must be debug, info, warn or error",
		"kvit.yaml:6: log.format: must be auto, text or json",
		"kvit.yaml:8: shop.orders.erp_number: " + marksMissing,
		"kvit.yaml:8: shop.orders.erased_at: " + marksMissing,
		"kvit.yaml:10: shop.orders.ref: " + badColumn,
		"kvit.yaml:12: shop.orders.imported_at: names the same column as placed_at",
		"kvit.yaml:16: destinations.spread.public_key: the environment variable UNSET is not set",
		"kvit.yaml:17: destinations.spread.private_key: " + notInFile,
		"kvit.yaml:18: destinations.spread.timeout: " + badDuration,
		"kvit.yaml:19: destinations.crm.sealed: must be true",
		"kvit.yaml:21: destinations.crm.url: must be https (http only for this machine itself)",
		"kvit.yaml:22: destinations.crm.secret: contains a blank or a character that is not ASCII",
		"kvit.yaml:24: retention.schedule: " + badCron,
		"kvit.yaml:25: retention.policy: does not name the table of shop.orders",
		"kvit.yaml:26: retention.policy[0].match: is missing: write {column of this table: column of the orders table}",
	}, mistakes(t, text, getenv))
}

// TestMistakesNeverShowValues searches the errors for what stands in secrets and URLs.
func TestMistakesNeverShowValues(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"Literal":     strings.Replace(tills, "${PRIVATE}", "private-marker", 1),
		"List":        strings.Replace(tills, "${PRIVATE}", "[private-marker]", 1),
		"Mapping":     strings.Replace(tills, "${PRIVATE}", "{a: private-marker}", 1),
		"Syntax":      strings.Replace(tills, "${PRIVATE}", "\"private-marker", 1),
		"SyntaxNext":  strings.Replace(tills, "${PRIVATE}", "private-marker\n      x: y", 1),
		"Escape":      strings.Replace(tills, "${PRIVATE}", `"private-marker\y"`, 1),
		"FilePath":    strings.Replace(tills, "${PRIVATE}", "file:/private-marker", 1),
		"Variable":    strings.Replace(tills, "${PRIVATE}", "${TWO_LINES}", 1),
		"Database":    "database:\n  url: postgres://a:pg-marker@[::1/x\n",
		"DatabaseRef": "database:\n  url: ${TWO_LINES}\n",
		"URL":         strings.Replace(hook, "https://", "gopher://url-marker@", 1),
		"Event":       hook + "    events: [event-marker]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotContains(t, strings.Join(mistakes(t, text, getenv), "\n"), "marker")
		})
	}
}
