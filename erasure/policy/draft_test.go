package policy_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
)

// catalogTable is a table of a draft's source, and what its keys and indexes say of each column.
type catalogTable struct {
	name    string
	asked   bool
	columns []catalogColumn
	keys    []policy.ForeignKey
}

type catalogColumn struct {
	policy.DatabaseColumn
	primary, inUnique, referenced bool
}

// source is the catalog of tables, the first of which is the orders table.
func source(tables ...catalogTable) policy.DraftSource {
	s := policy.DraftSource{Orders: orders}
	for _, t := range tables {
		s.Tables = append(s.Tables, t.name)
		if t.asked {
			s.Asked = append(s.Asked, t.name)
		}
		for _, k := range t.keys {
			k.Table = t.name
			s.Database.ForeignKeys = append(s.Database.ForeignKeys, k)
		}
		for _, c := range t.columns {
			addColumn(&s.Database, t.name, c)
		}
	}
	return s
}

func addColumn(d *policy.Database, table string, c catalogColumn) {
	c.Table = table
	d.Columns = append(d.Columns, c.DatabaseColumn)
	if c.primary || c.inUnique {
		d.UniqueIndexes = append(d.UniqueIndexes, policy.UniqueIndex{Table: table, Columns: []string{"other", c.Name}, Primary: c.primary})
	}
	if c.referenced {
		d.ForeignKeys = append(d.ForeignKeys, policy.ForeignKey{Table: "public.elsewhere", Columns: []string{"x"}, References: table, Keys: []string{c.Name}})
	}
}

func textual(name string) catalogColumn { return column(name, "text", "S") }

func column(name, base, family string) catalogColumn {
	return catalogColumn{DatabaseColumn: policy.DatabaseColumn{Name: name, Type: base, Base: base, Family: family}}
}

// like returns the column as the edits change it.
func like(c catalogColumn, edits ...func(*catalogColumn)) catalogColumn {
	for _, edit := range edits {
		edit(&c)
	}
	return c
}

func must(c *catalogColumn)     { c.NotNull = true }
func single(c *catalogColumn)   { c.inUnique = true }
func short(c *catalogColumn)    { c.MaxLength = 3 }
func checked(c *catalogColumn)  { c.Checked = true }
func computed(c *catalogColumn) { c.Generated = true }
func primary(c *catalogColumn)  { c.primary, c.NotNull = true, true }
func aim(c *catalogColumn)      { c.referenced = true }

// draftOf is what the draft says of a column of the orders table.
func draftOf(t *testing.T, c catalogColumn) (strategy, why string) {
	t.Helper()
	draft := policy.DraftPolicy(source(catalogTable{name: "public.orders", columns: []catalogColumn{c}}))
	require.Len(t, draft.Tables, 1)
	require.Len(t, draft.Tables[0].Columns, 1)
	require.Equal(t, c.Name, draft.Tables[0].Columns[0].Name)
	return draft.Tables[0].Columns[0].Strategy.String(), draft.Tables[0].Columns[0].Why
}

// What a name says, in the languages of the shops.
func TestDraftKnowsPersonalNames(t *testing.T) {
	t.Parallel()
	for want, names := range map[string]string{
		"an IP address":     "ip ip_address client_ip remote_addr ipAddress",
		"an e-mail address": "email e_mail EMail customer_email mail epost e_post payer_email billingEmail email_address mejl courriel",
		"a telephone number": "phone mobile phone_number tel telefon telefonnummer mobil mobiltelefon numero_telephone customerPhone " +
			"fax mobilnr",
		"a postal code":                        "zip zip_code postal_code postcode postnr postnummer plz postleitzahl code_postal shippingZip",
		"a date of birth":                      "birthday date_of_birth birth_date dob fødselsdato foedselsdag födelsedatum geburtsdatum date_naissance",
		"a delivery date":                      "delivery_date preferred_delivery_date leveringsdato ønsket_leveringsdag leveransdatum lieferdatum wunschtermin date_de_livraison",
		"how it is delivered":                  "delivery_type shipping_method leveringsmetode fragtmetode leveranssätt versandart mode_de_livraison pickup_point_id parcel_shop",
		"how it is paid":                       "payment_method payment_type paymentType betalingsmetode betalningssätt zahlungsart mode_paiement",
		"gender or form of address":            "gender sex køn kjønn kön geschlecht anrede sexe civilité",
		"a tax or personal number":             "vat_number vat_id cvr cvr_nr cpr_nr ssn personnummer fødselsnummer organisationsnummer tva ust_id",
		"a bank account or card":               "iban card_number cardholder kortnummer kreditkarte kontonummer numero_carte bic",
		"a browser's signature":                "user_agent userAgent browser",
		"a secret of a person":                 "password password_digest adgangskode lösenord mot_de_passe",
		"what the customer wrote":              "note customer_note comment comments gift_message besked bemærkning kommentar meddelande bemerkung nachricht remarque engraving",
		"an address":                           "address shipping_address ship_address address_line_1 street gade vejnavn husnr by city gatuadress straße ort ville leveringsadresse rue stad poststed",
		"the content of a cart":                "cart basket items varukorg warenkorb panier cart_items",
		"a name of a person or company":        "first_name last_name lastName fornavn efternavn etternavn förnamn vorname nachname prénom customer_name company firma modtager",
		"a name":                               "name navn namn nom billing_name",
		"an identifier of a visitor or device": "session_id client_id fbp gclid cookie ttp visitor_id referrer",
	} {
		for _, name := range strings.Fields(names) {
			strategy, why := draftOf(t, textual(name))
			is, oddly := strings.CutSuffix(why, "; kvit takes names of letters, digits, _ and $ alone: rename it, or decide on whole rows")
			require.Equal(t, want, is, name)
			require.Equal(t, oddly, strategy == "review", name)
		}
	}
}

// Names that hold such a word and yet say something else: a person decides.
func TestDraftLeavesOtherNamesToReview(t *testing.T) {
	t.Parallel()
	for _, name := range strings.Fields(`status currency sku product_name product_id shipping_cost email_status address_id created_by country_code
		order_type description file_name shop_name coupon_code gift_card_id phone_verified tags locale shipment zipper_color`) {
		strategy, _ := draftOf(t, textual(name))
		require.Equal(t, "review", strategy, name)
	}
}

func TestDraftOfColumns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		column        catalogColumn
		strategy, why string
	}{
		"Nullable":           {textual("email"), "null", "an e-mail address"},
		"NotNull":            {like(textual("email"), must), "{text: erased}", "an e-mail address; NOT NULL"},
		"NotNullShort":       {like(textual("city"), must, short), "{text: x}", "an address; NOT NULL"},
		"NotNullChecked":     {like(textual("phone"), must, checked), "{text: erased}", "a telephone number; NOT NULL; a CHECK constraint looks at it"},
		"Unique":             {like(textual("email"), must, single), "hash", "an e-mail address; unique"},
		"UniqueShort":        {like(textual("email"), must, single, short), "review", "an e-mail address; NOT NULL and unique, without room for a hash"},
		"UniqueShortNull":    {like(textual("email"), single, short), "null", "an e-mail address"},
		"PersonalPrimaryKey": {like(textual("email"), primary), "review", "an e-mail address, and part of a key"},
		"PersonalReferenced": {like(textual("email"), aim), "review", "an e-mail address, and part of a key"},
		"Generated":          {like(column("total", "numeric", "N"), computed), "keep", "the database writes it"},
		"GeneratedPersonal":  {like(textual("full_name"), computed), "keep", "a name of a person or company, which the database computes: erase the columns it is made from"},
		"PrimaryKey":         {like(column("id", "bigint", "N"), primary), "keep", "primary key"},
		"Boolean":            {column("newsletter", "boolean", "B"), "keep", "true or false"},
		"BooleanByName":      {column("email_ok", "boolean", "B"), "keep", "true or false"},
		"CreatedAt":          {column("created_at", "timestamp with time zone", "D"), "keep", "when the row was made or changed"},
		"UpdatedAt":          {column("opdateret", "timestamp without time zone", "D"), "keep", "when the row was made or changed"},
		"CreatedBy":          {textual("created_by"), "review", ""},
		"OtherTime":          {column("shipped_at", "timestamp with time zone", "D"), "review", ""},
		"NameAsTime":         {column("name_day", "date", "D"), "review", ""},
		"TimeOfAMail":        {column("email_sent_at", "timestamp with time zone", "D"), "review", ""},
		"Birth":              {like(column("birth_date", "date", "D"), must), "{truncate_date: year}", "a date of birth"},
		"BirthAsText":        {textual("birthday"), "null", "a date of birth"},
		"DeliveryDate":       {column("delivery_date", "date", "D"), "null", "a delivery date"},
		"DeliveryDateMust":   {like(column("delivery_date", "date", "D"), must), "truncate_date", "a delivery date; NOT NULL"},
		"DeliveryTimeMust":   {like(column("delivery_time", "time without time zone", "D"), must), "review", "a delivery date; NOT NULL, and no text"},
		"PostalCode":         {like(textual("zip"), must), "generalise", "a postal code"},
		"PostalCodeNumber":   {column("zip", "integer", "N"), "null", "a postal code"},
		"PhoneNumberMust":    {like(column("phone", "bigint", "N"), must), "review", "a telephone number; NOT NULL, and no text"},
		"NameAsNumber":       {column("name", "integer", "N"), "review", ""},
		"VATAmount":          {column("vat_amount", "numeric", "N"), "keep", "an amount, by name and type"},
		"PaymentEnum":        {column("payment_type", "pay", "E"), "null", "how it is paid"},
		"PaymentEnumMust":    {like(column("payment_type", "pay", "E"), must), "review", "how it is paid; NOT NULL, and no text"},
		"Inet":               {column("seen_from", "inet", "I"), "null", "an IP address"},
		"InetMust":           {like(column("seen_from", "inet", "I"), must), "review", "an IP address; NOT NULL, and no text"},
		"JSON":               {column("extra", "jsonb", "U"), "review", "a document: {json: {path: keep}} leaves what a path names and takes the rest out"},
		"JSONAddress":        {column("shipping_address", "jsonb", "U"), "null", "an address"},
		"JSONAddressMust":    {like(column("shipping_address", "json", "U"), must), "review", "an address; NOT NULL; a document: {json: {path: keep}} leaves what a path names and takes the rest out"},
		"Array":              {column("phones_phone", "text[]", "A"), "null", "a telephone number"},
		"AnythingElse":       {textual("status"), "review", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			strategy, why := draftOf(t, c.column)
			require.Equal(t, c.strategy, strategy)
			require.Equal(t, c.why, why)
		})
	}
}

func key(column, other, otherColumn string) policy.ForeignKey {
	return policy.ForeignKey{Columns: []string{column}, References: other, Keys: []string{otherColumn}}
}

func shop(more ...catalogTable) policy.DraftSource {
	id := like(column("id", "bigint", "N"), primary)
	return source(append([]catalogTable{
		{name: "public.orders", columns: []catalogColumn{
			id, textual("ref"), column("placed", "timestamp with time zone", "D"), column("imported", "timestamp with time zone", "D"), textual("erp"),
			column("erased", "timestamp with time zone", "D"), textual("email"), column("customer_id", "bigint", "N"), column("agent_id", "bigint", "N"),
		}, keys: []policy.ForeignKey{key("agent_id", "public.agents", "id")}},
	}, more...)...)
}

// table is a table of the shop, with those columns and keys.
func table(name string, columns []string, keys ...policy.ForeignKey) catalogTable {
	t := catalogTable{name: name, keys: keys}
	for _, c := range columns {
		t.columns = append(t.columns, column(c, "bigint", "N"))
	}
	return t
}

// noted is a table that also holds what customers wrote.
func noted(name string, columns []string, keys ...policy.ForeignKey) catalogTable {
	t := table(name, columns, keys...)
	t.columns = append(t.columns, textual("note"))
	return t
}

// always makes all columns NOT NULL.
func always(t catalogTable) catalogTable {
	for i := range t.columns {
		must(&t.columns[i])
	}
	return t
}

func asked(t catalogTable) catalogTable {
	t.asked = true
	return t
}

func TestDraftOfTables(t *testing.T) {
	t.Parallel()
	payments := noted("public.payments", []string{"order_id"}, key("order_id", "public.orders", "id"))
	refunds := noted("public.refunds", []string{"payment_id"}, key("payment_id", "public.payments", "id"))
	people := asked(table("public.people", []string{"customer_id"}))
	letters := asked(catalogTable{name: "public.letters", columns: []catalogColumn{textual("email")}})
	for name, c := range map[string]struct {
		source                   policy.DraftSource
		table                    string
		match, parent, rows, why string
	}{
		"Orders": {shop(), "public.orders", "null", "", "", ""},
		"Child":  {shop(payments), "public.payments", `{"order_id":"id"}`, "", "", ""},
		"Grandchild": {
			shop(payments, refunds), "public.refunds", `{"payment_id":"id"}`, "public.payments", "", "",
		},
		"NearestKeyCounts": {
			shop(payments, always(noted("public.refunds", []string{"payment_id", "order_id"}, key("payment_id", "public.payments", "id"), key("order_id", "public.orders", "id")))),
			"public.refunds", `{"order_id":"id"}`, "", "", "",
		},
		"TwoKeys": {
			shop(noted("public.swaps", []string{"old", "new"}, key("old", "public.orders", "id"), key("new", "public.orders", "id"))),
			"public.swaps", "null", "", "", "",
		},
		"WideKey": {
			shop(noted("public.parts", []string{"a", "b"}, policy.ForeignKey{Columns: []string{"a", "b"}, References: "public.orders", Keys: []string{"id", "shop"}})),
			"public.parts", `{"a":"id","b":"shop"}`, "", "", "",
		},
		"Cart": {
			shop(noted("public.order_lines", []string{"order_id"}, key("order_id", "public.orders", "id"))),
			"public.order_lines", `{"order_id":"id"}`, "", "review", "",
		},
		"NoColumns":  {shop(asked(table("public.void", nil))), "public.void", `"review"`, "", "review", "no foreign key, e-mail address or customer number ties it to the orders: write {column of it: column of the orders table}"},
		"ByCustomer": {shop(people), "public.people", `{"customer_id":"customer_id"}`, "", "review", "the same customer, by its name, no foreign key says so"},
		"ByEmail":    {shop(letters), "public.letters", `{"email":"email"}`, "", "review", "the same e-mail address, by its name, no foreign key says so; small and capital letters differ, unless shop.orders.email names the column"},
		"EmailOfOtherType": {
			shop(asked(table("public.odd", []string{"email"}))), "public.odd", `"review"`, "", "",
			"no foreign key, e-mail address or customer number ties it to the orders: write {column of it: column of the orders table}",
		},
		"TheOrdersReferToIt": {shop(asked(table("public.agents", []string{"id"}))), "public.agents", `{"id":"agent_id"}`, "", "review", "the orders refer to it"},
		"BehindAPerson": {
			shop(people, noted("public.wishes", []string{"person"}, key("person", "public.people", "customer_id"))),
			"public.wishes", `{"person":"customer_id"}`, "public.people", "review", "",
		},
		"OrdersBeforePeople": {
			shop(people, payments, always(noted("public.debts", []string{"person", "payment"}, key("person", "public.people", "customer_id"), key("payment", "public.payments", "order_id")))),
			"public.debts", `{"payment":"order_id"}`, "public.payments", "", "",
		},
		"HoweverFar": {
			shop(payments, refunds, noted("public.c", []string{"x"}, key("x", "public.refunds", "id")), noted("public.d", []string{"x"}, key("x", "public.c", "id"))),
			"public.d", `{"x":"id"}`, "public.c", "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, got := range policy.DraftPolicy(c.source).Tables {
				if got.Table != c.table {
					continue
				}
				match, err := json.Marshal(got.Match)
				require.NoError(t, err)
				require.Equal(t, []string{c.match, c.parent, c.rows, c.why}, []string{string(match), got.Parent, got.Rows, got.Why})
				return
			}
			require.Fail(t, "the draft lacks the table")
		})
	}
}

func TestDraftLeavesOutWhatIsKvitsOwn(t *testing.T) {
	t.Parallel()
	var names []string
	for _, c := range policy.DraftPolicy(shop()).Tables[0].Columns {
		names = append(names, c.Name)
	}
	require.Equal(t, []string{"id", "email", "customer_id", "agent_id"}, names)
}

// The configuration knows by which columns an order tells its customer, whatever they are called.
func TestDraftKnowsTheConfiguredColumns(t *testing.T) {
	t.Parallel()
	ordersTable := catalogTable{name: "public.orders", columns: []catalogColumn{
		textual("reach"), textual("email"), like(column("buyer", "bigint", "N"), must), column("customer_id", "bigint", "N"),
	}}
	letters := asked(catalogTable{name: "public.letters", columns: []catalogColumn{textual("email"), textual("reach")}})
	people := asked(table("public.people", []string{"customer_id", "buyer"}))
	s := source(ordersTable, letters, people)
	s.Orders.Email, s.CustomerID = "reach", "buyer"
	draft := policy.DraftPolicy(s)
	require.Equal(t, []policy.DraftColumn{
		{Name: "reach", Type: "text", Strategy: policy.DraftStrategy{Word: "null"}, Why: "an e-mail address"},
		{Name: "email", Type: "text", Strategy: policy.DraftStrategy{Word: "null"}, Why: "an e-mail address"},
		{Name: "buyer", Type: "bigint", Strategy: policy.DraftStrategy{Word: "review"}, Why: "the customer's id; NOT NULL, and no text"},
		{Name: "customer_id", Type: "bigint", Strategy: policy.DraftStrategy{Word: "review"}},
	}, draft.Tables[0].Columns)
	require.Equal(t, policy.DraftMatch{Column: "email", OtherColumn: "reach"}, *draft.Tables[1].Match)
	require.Equal(t, "the same e-mail address, by its name, no foreign key says so", draft.Tables[1].Why)
	require.Equal(t, policy.DraftMatch{Column: "customer_id", OtherColumn: "buyer"}, *draft.Tables[2].Match)
	for _, elsewhere := range []policy.DraftColumn{draft.Tables[1].Columns[1], draft.Tables[2].Columns[1]} {
		require.Empty(t, elsewhere.Why, elsewhere.Name)
	}
}

// Keys and indexes are those of the column's own table.
func TestDraftTellsTablesApart(t *testing.T) {
	t.Parallel()
	of := func(name string, edits ...func(*catalogColumn)) catalogTable {
		return asked(catalogTable{name: name, columns: []catalogColumn{like(textual("email"), edits...)}})
	}
	tables := policy.DraftPolicy(source(of("public.orders"), of("public.letters", single), of("public.people", aim))).Tables
	var got []string
	for _, t := range tables {
		got = append(got, t.Columns[0].Strategy.String()+": "+t.Columns[0].Why)
	}
	require.Equal(t, []string{"null: an e-mail address", "hash: an e-mail address; unique", "review: an e-mail address, and part of a key"}, got)
}

func TestDraftOfForeignKeys(t *testing.T) {
	t.Parallel()
	tables := policy.DraftPolicy(shop(noted("public.payments", []string{"order_id"}, key("order_id", "public.orders", "id")))).Tables
	agent := tables[0].Columns[3]
	require.Equal(t, []string{"review", "refers to public.agents, which is not in this draft"}, []string{agent.Strategy.String(), agent.Why})
	order := tables[1].Columns[0]
	require.Equal(t, []string{"keep", "refers to public.orders"}, []string{order.Strategy.String(), order.Why})
}

func TestDraftAsYAML(t *testing.T) {
	t.Parallel()
	lines := table("public.order_lines", []string{"order_id", "sku"}, key("order_id", "public.orders", "id"))
	lines.columns = append(lines.columns, textual("note"))
	tags := table("public.order_tags", []string{"order_id", "tag_id"}, key("order_id", "public.orders", "id"), key("tag_id", "public.tags", "id"))
	tagNames := catalogTable{name: "public.tags", columns: []catalogColumn{textual("label")}}
	odd := asked(table(`public.Odd "one"`, []string{"null", "a: b", "two\nlines"}))
	require.Equal(t, `# A first column policy, made of names, types, keys and the form of values: read every line of it.
# `+"`kvit check`"+` refuses it as long as the word review stands anywhere: a person has to decide.
retention:
  policy:
    - table: public.orders
      columns:
        id: keep # primary key
        email: null # an e-mail address
        customer_id: review
        agent_id: review # refers to public.agents, which is not in this draft
    - table: public.order_lines
      match: {order_id: id}
      rows: review # cart content, by its name: write delete or keep, or the columns below instead
      # columns:
      #   order_id: keep # refers to public.orders
      #   sku: review
      #   note: null # what the customer wrote
    - table: "public.Odd \"one\""
      match: review # no foreign key, e-mail address or customer number ties it to the orders: write {column of it: column of the orders table}
      columns:
        "null": review
        "a: b": review # kvit takes names of letters, digits, _ and $ alone: rename it, or decide on whole rows
        "two\nlines": review # kvit takes names of letters, digits, _ and $ alone: rename it, or decide on whole rows
  # Nothing in these looks personal, by names, types and values: they stay as they are.
  keep:
    - public.order_tags # refers to public.orders, and holds but keys, numbers, times and yes or no
`, policy.DraftPolicy(shop(lines, odd, tags, tagNames)).YAML())
}

func TestDraftAsJSON(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(policy.DraftPolicy(source(catalogTable{
		name: "public.orders", columns: []catalogColumn{like(textual("email"), must), textual("status")},
	})))
	require.NoError(t, err)
	require.JSONEq(t, `{"policy": [{"table": "public.orders", "columns": [
		{"name": "email", "type": "text", "strategy": {"text": "erased"}, "why": "an e-mail address; NOT NULL"},
		{"name": "status", "type": "text", "strategy": "review"}
	]}]}`, string(got))
}

// Whatever a table or column is called, the draft is YAML that names it so, and nothing more.
func FuzzDraftYAML(f *testing.F) {
	for _, name := range []string{"email", "null", "Yes", "a: b", "x # y", "\"q\"", "'", "two\nlines", "tab\t", "- a", "{a: b}", "*a", "é", "\u0085", "\u2028", "~", "1", "a\\b"} {
		f.Add(name, "public."+name)
	}
	f.Fuzz(func(t *testing.T, columnName, tableName string) {
		exists := func(name string) bool {
			return name != "" && utf8.ValidString(name) && !strings.ContainsRune(name, 0)
		}
		if !exists(columnName) || !exists(tableName) || tableName == orders.Name {
			return // Postgres has no such names
		}
		named := catalogTable{
			name: tableName, asked: true, columns: []catalogColumn{textual(columnName)},
			keys: []policy.ForeignKey{key(columnName, "public.orders", "id"), key(columnName, "public.orders", columnName)},
		}
		draft := policy.DraftPolicy(shop(named))
		var parsed struct {
			Retention struct {
				Policy []struct {
					Table   string
					Columns map[string]any
				}
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(draft.YAML()), &parsed))
		require.Len(t, parsed.Retention.Policy, 2)
		require.Equal(t, tableName, parsed.Retention.Policy[1].Table)
		for name := range parsed.Retention.Policy[1].Columns {
			require.Equal(t, columnName, name)
		}
	})
}
