package policy

import (
	"slices"
	"strings"
	"unicode"
)

// meaning is what a column's name says about its values.
type meaning struct {
	is string // in words, for the draft's comment
	fits

	// Names are cut into words at underscores, digits and capitals; letters as ø and é are folded.
	words []string // one of the name's words
	parts []string // anywhere in the name, without what stands between its words
	whole []string // the name as a whole, likewise
	aside []string // words that make the name say something else

	vague    bool // what has such a column need not be about persons
	document bool // a text of that meaning may as well hold JSON
}

// fits are the kinds of types in which a column of that meaning is no mistake, beside texts, documents and
// the like.
type fits struct {
	numbers bool // telephone numbers may be stored as numbers, names are not
	dates   bool
	ids     bool // a name that ends with id still holds it
}

// about are last words of names that tell something about a personal value, but not the value.
var about = strings.Fields(`id ids status state count verified confirmed sent at rate amount total fee cost price percent
	tax currency enabled optin optout version type hash format template code expression`)

// things are what has a name or number without being a person.
var things = strings.Fields(`product item file status method country currency campaign event shop store brand category template table
	job queue carrier provider sku variant coupon discount warehouse role display vare produkt artikel marke type class column
	schema database host server article produit market channel website site`)

const (
	anEmail = "an e-mail address"
	aSecret = "a secret of a person" //nolint:gosec // the words for one
)

// meanings are tried in order; the first that matches counts. Words are English, Danish, Norwegian, Swedish,
// German and French.
var meanings = []meaning{
	{is: "an IP address", fits: fits{ids: true}, words: strings.Fields(`ip ipaddress ipaddr ipadresse ipadress`), parts: []string{"remoteaddr"}},
	{is: anEmail, words: []string{"email", "mail", "epost", "mejl", "courriel"}, parts: []string{"email", "mailadress"}, whole: []string{"epost"}},
	{
		is: "the number of a parcel, by which the carrier knows the person", fits: fits{numbers: true, ids: true},
		parts: strings.Fields(`trackingcode trackingnumber trackingno trackingid trackingurl tracktrace sporingsnummer sporingskode
			sparningsnummer sendungsnummer numerosuivi`),
	},
	{
		is: "a delivery date", fits: fits{dates: true}, vague: true,
		parts: strings.Fields(`deliverydate deliveryday deliverytime deliveryslot deliverywindow preferreddelivery desireddelivery
			leveringsdato leveringsdag leveringstid leveringstidspunkt leveransdatum leveransdag leveranstid lieferdatum liefertag liefertermin
			lieferzeit wunschtermin wunschdatum datelivraison datedelivraison`),
	},
	{
		is: "how it is delivered", fits: fits{ids: true}, vague: true,
		parts: strings.Fields(`deliverymethod deliverytype deliverymode deliveryoption shippingmethod shippingtype shippingoption
			leveringsmetode leveringstype leveringsform leveringsmate leveringsmade leveringsmaade fragtmetode fragttype fraktmetode fraktsatt
			leveranssatt leveransmetod versandart versandmethode lieferart liefermethode modelivraison modedelivraison
			pickuppoint parcelshop pakkeshop pakkebutik postombud servicepoint pointrelais paketshop`),
	},
	{
		is: "how it is paid", vague: true,
		parts: strings.Fields(`paymentmethod paymenttype paymentmode paymentmeans paymentoption betalingsmetode betalingstype betalingsform
			betalingsmate betalingsmade betalingsmaade betalningssatt betalningsmetod zahlungsart zahlungsmethode zahlungsweise
			modepaiement modedepaiement moyendepaiement`),
	},
	{
		is: "a postal code", fits: fits{numbers: true},
		words: strings.Fields(`zip zipcode postal postcode postnr postnummer plz`),
		parts: strings.Fields(`zipcode postalcode postcode postnummer postleitzahl codepostal`),
	},
	{
		is: "a date of birth", fits: fits{dates: true, numbers: true},
		words: strings.Fields(`birth birthday dob born`),
		parts: strings.Fields(`birthda dateofbirth yearofbirth birthyear fodsel foedsel fodelse geburt naissance`),
		aside: strings.Fields(`fodselsnummer fodselsnr`),
	},
	{
		is:    "gender or form of address",
		words: strings.Fields(`gender sex salutation honorific koen kon kjonn kjoenn geschlecht anrede sexe civilite tiltale`),
	},
	{is: "a telephone number", fits: fits{numbers: true},
		words: strings.Fields(`tel tlf phone mobile mobil cell telefon fax gsm handy msisdn`),
		parts: strings.Fields(`phone telefon mobilnr mobilnummer handynummer numerotel`)},
	{
		is: "a tax or personal number", fits: fits{numbers: true, ids: true},
		words: strings.Fields(`vat vatid cvr cvrnr ssn cpr cprnr orgnr tin siret siren tva momsnr passport passeport`),
		parts: strings.Fields(`vatnumber cvrnummer personnummer personnr fodselsnummer organisationsnummer steuernummer momsnummer nationalid
			socialsecurity passportn`),
		whole: strings.Fields(`ustid ustidnr`),
		aside: strings.Fields(`included excluded incl excl sum moms basis class group zone`),
	},
	{
		is: "a bank account or card", fits: fits{numbers: true},
		words: strings.Fields(`iban bic swift card cardno kontonr kontonummer kortnr kortnummer pan`),
		parts: strings.Fields(`creditcard cardnumber cardholder kreditkort kredittkort kreditkarte kontokort kortnummer kontonummer
			bankaccount accountnumber accountholder bankkonto cartebancaire numerocarte karteninhaber kontoinhaber`),
		aside: strings.Fields(`gift`),
	},
	{is: "a browser's signature", parts: strings.Fields(`useragent browser`)},
	{
		is: "an identifier of a visitor or device", fits: fits{ids: true, numbers: true},
		words: strings.Fields(`cookie cookies fbp fbc gclid fbclid ttclid msclkid fingerprint referrer referer session sessionid`),
		parts: strings.Fields(`clientid sessionid visitorid deviceid besogsid`),
		whole: strings.Fields(`ttp ga`),
	},
	{
		is:    aSecret,
		words: strings.Fields(`password passwd passwort adgangskode kodeord losenord passord`), parts: []string{"motdepasse"},
	},
	{
		is: "a name of a person or company",
		words: strings.Fields(`firstname lastname surname forename fullname username login nickname initials fornavn efternavn etternavn mellemnavn
			fornamn efternamn vorname nachname prenom recipient modtager mottaker mottagare empfanger empfaenger destinataire attention att
			contact kontakt kontaktperson holder payer payee signature avatar photo portrait company firma virksomhed foretag societe entreprise`),
		parts: strings.Fields(`firstname lastname fullname fornavn efternavn etternavn fornamn efternamn vorname nachname prenom
			customername contactname kundenavn kundnamn kundenname nomclient companyname firmanavn firmenname`),
		aside: things,
	},
	{
		is: "what the customer wrote",
		words: strings.Fields(`note notes comment comments message messages remark remarks instruction instructions greeting engraving feedback
			bemaerkning besked kommentar notat merknad beskjed meddelande notering anmerkung bemerkung notiz nachricht hinweis wunsch remarque
			commentaire hilsen hilsning gruss gravering gravur gravure`),
		parts: strings.Fields(`comment kommentar bemaerkning bemarkning bemerkung anmerkung nachricht instruction customernote kundenote`),
		aside: []string{"error"},
	},
	{
		is: "an address", document: true,
		words: strings.Fields(`address addr street road house gade vej gate gata vei vag strasse rue husnr etage floor city town
			ort stad ville poststed bynavn province county region latitude longitude lat lng lon coordinates geo`),
		parts: strings.Fields(`address adress street strasse gadenavn vejnavn gatenavn gatuadress husnummer hausnummer postort`), //nolint:misspell // adress is Swedish
		whole: strings.Fields(`by`),                                                                                              // a town in Danish and Norwegian; in created_by it is not
		aside: strings.Fields(`warehouse shop store`),
	},
	{
		is: "the content of a cart", vague: true, document: true,
		words: strings.Fields(`cart basket items kurv indkobskurv indkoebskurv handlekurv varukorg warenkorb panier contents`),
	},
	// Last, since many things have a name.
	{is: "a name", vague: true, words: strings.Fields(`name navn namn nom`), aside: things},
}

// meaningOf tells what a column's name says; false if nothing personal.
func meaningOf(name string) (meaning, bool) {
	words := wordsOf(name)
	if len(words) == 0 {
		return meaning{}, false
	}
	squashed := strings.Join(words, "")
	last := words[len(words)-1]
	for _, m := range meanings {
		switch {
		case !m.matches(words, squashed):
		case hasAny(words, m.aside):
		case slices.Contains(about, last) && len(words) > 1 && !m.endsWell(last, squashed):
		default:
			return m, true
		}
	}
	return meaning{}, false
}

func (m meaning) matches(words []string, squashed string) bool {
	return hasAny(words, m.words) || slices.Contains(m.whole, squashed) ||
		slices.ContainsFunc(m.parts, func(part string) bool { return strings.Contains(squashed, part) })
}

// endsWell tells whether a last word as id or type belongs to the meaning: vat_id, payment_type.
func (m meaning) endsWell(last, squashed string) bool {
	return m.ids && last == "id" ||
		slices.ContainsFunc(m.parts, func(part string) bool { return strings.HasSuffix(part, last) && strings.HasSuffix(squashed, part) })
}

func hasAny(words, wanted []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(wanted, w) })
}

var folded = strings.NewReplacer("æ", "ae", "ø", "o", "å", "a", "ä", "a", "ö", "o", "ü", "u", "ß", "ss",
	"é", "e", "è", "e", "ê", "e", "ë", "e", "à", "a", "â", "a", "ç", "c", "î", "i", "ï", "i", "ô", "o", "û", "u", "œ", "oe")

// wordsOf cuts a name into folded words: shippingAddress2 and shipping_address are both shipping, address.
func wordsOf(name string) []string {
	var spaced strings.Builder
	var previous rune
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r):
			r = ' '
		case unicode.IsUpper(r) && unicode.IsLower(previous):
			spaced.WriteByte(' ')
		}
		spaced.WriteRune(r)
		previous = r
	}
	return strings.Fields(folded.Replace(strings.ToLower(spaced.String())))
}

// cartWords are words in the names of tables that hold what an order is made of.
var cartWords = strings.Fields(`line lines item items position positions cart carts basket baskets linje linjer ordrelinje ordrelinjer orderlines orderitems
	vare varer kurv kurve varukorg orderrad orderrader rader warenkorb artikel positionen bestellposition bestellpositionen panier paniers ligne lignes`)

func holdsCart(table string) bool {
	return hasAny(wordsOf(table), cartWords)
}

// changeWords are words in the names of columns that tell when a row was made or changed.
var changeWords = strings.Fields(`created create creation inserted insert added updated update modified changed oprettet opdateret aendret andret
	opprettet oppdatert endret skapad uppdaterad andrad erstellt angelegt aktualisiert geandert geaendert cree creee modifie modifiee deleted removed slettet raderad geloescht geloscht supprime`)

func tellsChange(column string) bool {
	return hasAny(wordsOf(column), changeWords)
}

// A person is the same in the orders table and in another by one of these.
var (
	emailNames    = []string{"email", "mail", "emailaddress", "mailaddress", "customeremail", "epost", "mailadresse", "kundeemail", "courriel", "contactemail"}
	customerNames = []string{"customerid", "customernumber", "customerno", "customer", "kundeid", "kundenr", "kundenummer", "kundnummer", "kundid",
		"kundennummer", "kundennr", "kundenid", "clientnumber", "userid", "accountid", "idclient", "numeroclient"}
)

func isOneOf(names []string, column string) bool {
	return slices.Contains(names, strings.Join(wordsOf(column), ""))
}

// amountWords are words in the names of numbers that say how much or how many.
var amountWords = strings.Fields(`total subtotal amount price cost sum tax vat discount quantity qty count number weight rate percent
	refunded adjustment antal belob beloeb pris menge anzahl betrag preis summe quantite montant prix position version shipping fee`) //nolint:misspell // quantite is French

func tellsAmount(column string) bool {
	words := wordsOf(column)
	return hasAny(words, amountWords) && words[len(words)-1] != "id"
}

// Words in the names of tables.
var (
	loginWords   = strings.Fields(`user users account accounts login logins auth identity identities bruger brugere konto konti benutzer anvandare utilisateur`)
	accountWords = append(strings.Fields(`customer customers client clients member members person persons people buyer buyers contact contacts subscriber
		subscribers kunde kunder kunden kund medlem mitglied`), loginWords...)
	staffWords = strings.Fields(`administrator administrators admin admins staff employee employees operator operators medarbejder mitarbeiter`)
	copyWords  = strings.Fields(`log logs job jobs queue audit history message messages mail mails email emails outbox notification notifications webhook
		webhooks session sessions request requests event events execution executions archive`)
	rowWords = strings.Fields(`record records entry entries row rows data`)
)

// isLogin and isAccount take a table's whole name, or its last word behind the shop's prefix: it is no link to one.
func isLogin(table string) bool   { return isCalled(table, loginWords) }
func isAccount(table string) bool { return isCalled(table, accountWords) }

func isCalled(table string, names []string) bool {
	words := wordsOf(table)
	return len(words) > 0 && len(words) <= 2 && slices.Contains(names, words[len(words)-1])
}

func isStaff(table string) bool { return hasAny(wordsOf(table), staffWords) }

func keepsCopies(table string) bool {
	words := slices.DeleteFunc(wordsOf(table), func(w string) bool { return slices.Contains(rowWords, w) })
	return len(words) > 0 && slices.Contains(copyWords, words[len(words)-1])
}

// Columns that tell whether a person has an account.
var (
	accountFlags = strings.Fields(`hasaccount isregistered registered isaccount`)
	guestFlags   = strings.Fields(`isguest guest`)
)
